//===- ModelFile.h - Bytes or text to a ModelProto ------------------------===//
// Assumes: nothing; the bytes are untrusted.
// Guarantees: a parsed message, or a one-line reason.
// Declines: what protobuf declines (2 GB, 100 levels of nesting); meaning is checked by the importer, not here.

#ifndef DS_LIB_IMPORT_ONNX_MODELFILE_H
#define DS_LIB_IMPORT_ONNX_MODELFILE_H

#include "llvm/ADT/StringRef.h"

#include <memory>
#include <string>

namespace onnx {
class ModelProto;
}

namespace ds::importer {

/// Reads a binary model, streamed so that the file and the message never lie in memory together.
std::shared_ptr<onnx::ModelProto> readModelFile(llvm::StringRef path, std::string &error);

/// Parses a binary model that is in memory already.
std::shared_ptr<onnx::ModelProto> parseModelBytes(llvm::StringRef bytes, std::string &error);

/// Parses ONNX's text format.
std::shared_ptr<onnx::ModelProto> parseModelText(llvm::StringRef text, std::string &error);

/// `message` on one line: line breaks and runs of blanks become one blank.
std::string oneLine(llvm::StringRef message);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_MODELFILE_H
