//===- ModelFile.h - Bytes or text to a ModelProto ------------------------===//
// Assumes: nothing; the bytes are untrusted.
// Guarantees: a parsed message, or a one-line reason.
// Declines: what protobuf declines (2 GB beside large tensors, 100 levels of nesting); meaning is checked by the
// importer, not here.

#ifndef DS_LIB_IMPORT_ONNX_MODELFILE_H
#define DS_LIB_IMPORT_ONNX_MODELFILE_H

#include "LargeData.h"

#include "llvm/ADT/StringRef.h"

#include <memory>
#include <string>

namespace onnx {
class ModelProto;
}

namespace ds::importer {

struct ModelFile {
  std::unique_ptr<onnx::ModelProto> model;
  /// What the tokens in the model's tensors stand for.
  LargeData data;

  ModelFile();
  ~ModelFile();
};

/// Reads a binary model; the bytes of large tensors stay in the file until they are asked for.
bool readModelFile(llvm::StringRef path, ModelFile &file, std::string &error);

/// Parses a binary model that is in memory already and stays there.
bool parseModelBytes(llvm::StringRef bytes, ModelFile &file, std::string &error);

/// Parses ONNX's text format.
bool parseModelText(llvm::StringRef text, ModelFile &file, std::string &error);

/// `message` on one line: line breaks and runs of blanks become one blank.
std::string oneLine(llvm::StringRef message);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_MODELFILE_H
