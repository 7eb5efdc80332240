//===- ModelFile.cpp - Bytes or text to a ModelProto ----------------------===//
// Assumes: nothing; the bytes are untrusted.
// Guarantees: a parsed message, or a one-line reason.
// Declines: what protobuf declines (2 GB, 100 levels of nesting); meaning is checked by the importer, not here.

#include "ModelFile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>

#include <climits>

using namespace llvm;
namespace io = google::protobuf::io;

std::string ds::importer::oneLine(StringRef message) {
  std::string line;
  for (char c : message.trim()) {
    if (isSpace(c))
      c = ' ';
    if (c != ' ' || line.empty() || line.back() != ' ')
      line += c;
  }
  return line;
}

static std::shared_ptr<onnx::ModelProto> parseStream(io::ZeroCopyInputStream &stream, std::string &error) {
  google::protobuf::LogSilencer quiet; // protobuf would print its own reasons to stderr
  auto model = std::make_shared<onnx::ModelProto>();
  io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT_MAX);
  if (!model->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    error = "not an ONNX model, or a damaged one: the file cannot be parsed as a protobuf message";
    return nullptr;
  }
  if (!model->has_graph()) {
    error = "not an ONNX model: the file holds no graph";
    return nullptr;
  }
  return model;
}

std::shared_ptr<onnx::ModelProto> ds::importer::readModelFile(StringRef path, std::string &error) {
  Expected<sys::fs::file_t> file = sys::fs::openNativeFileForRead(path);
  if (!file) {
    error = "cannot open the model: " + toString(file.takeError());
    return nullptr;
  }
  sys::fs::file_status status;
  std::shared_ptr<onnx::ModelProto> model;
  if (std::error_code code = sys::fs::status(*file, status)) {
    error = "cannot read the model: " + code.message();
  } else if (sys::fs::is_directory(status)) {
    error = "the model is a folder, not a file";
  } else if (status.getSize() == 0 && sys::fs::is_regular_file(status)) {
    error = "the model file is empty";
  } else if (status.getSize() > uint64_t(INT_MAX)) {
    error = "the model file has " + std::to_string(status.getSize()) +
            " bytes; an ONNX file ends at 2 GB (larger weights belong into external data)";
  } else {
    io::FileInputStream stream(*file, /*block_size=*/1 << 20);
    model = parseStream(stream, error);
    if (!model && stream.GetErrno())
      error = "cannot read the model: " + std::error_code(stream.GetErrno(), std::generic_category()).message();
  }
  sys::fs::closeFile(*file);
  return model;
}

std::shared_ptr<onnx::ModelProto> ds::importer::parseModelBytes(StringRef bytes, std::string &error) {
  if (bytes.size() > size_t(INT_MAX)) {
    error = "the model has more than 2 GB";
    return nullptr;
  }
  io::ArrayInputStream stream(bytes.data(), int(bytes.size()));
  return parseStream(stream, error);
}

std::shared_ptr<onnx::ModelProto> ds::importer::parseModelText(StringRef text, std::string &error) {
  auto model = std::make_shared<onnx::ModelProto>();
  std::string terminated = text.str();
  try {
    onnx::OnnxParser parser(terminated.c_str());
    onnx::Common::Status status = parser.Parse(*model);
    if (!status.IsOK()) {
      error = oneLine(status.ErrorMessage());
      return nullptr;
    }
    if (!parser.EndOfInput()) {
      error = "text follows the end of the model";
      return nullptr;
    }
  } catch (const std::exception &exception) {
    error = oneLine(exception.what());
    return nullptr;
  }
  return model;
}
