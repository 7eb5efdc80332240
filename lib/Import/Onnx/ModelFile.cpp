//===- ModelFile.cpp - Bytes or text to a ModelProto ----------------------===//
// Assumes: nothing; the bytes are untrusted.
// Guarantees: a parsed message, or a one-line reason.
// Declines: what protobuf declines (2 GB, 100 levels of nesting); meaning is checked by the importer, not here.

#include "ModelFile.h"
#include "TypedData.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

#include <google/protobuf/stubs/logging.h>
#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>

#include <climits>

using namespace llvm;
using namespace ds::importer;

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

ModelFile::ModelFile() : model(std::make_unique<onnx::ModelProto>()) {}
ModelFile::~ModelFile() = default;

bool ds::importer::parseModelBytes(StringRef bytes, ModelFile &file, std::string &error) {
  google::protobuf::LogSilencer quiet; // protobuf would print its own reasons to stderr
  file.data.readFromMemory(bytes);
  std::optional<std::string> reduced = file.data.extract(bytes);
  if (!reduced || reduced->size() > size_t(INT_MAX) ||
      !file.model->ParseFromArray(reduced->data(), int(reduced->size()))) {
    error = "not an ONNX model, or a damaged one: the file cannot be parsed as a protobuf message";
    return false;
  }
  if (!file.model->has_graph()) {
    error = "not an ONNX model: the file holds no graph";
    return false;
  }
  keepLargeData(*file.model, file.data, /*isExtracted=*/true);
  return true;
}

bool ds::importer::readModelFile(StringRef path, ModelFile &file, std::string &error) {
  Expected<sys::fs::file_t> descriptor = sys::fs::openNativeFileForRead(path);
  if (!descriptor) {
    error = "cannot open the model: " + toString(descriptor.takeError());
    return false;
  }
  file.data.readFromFile(*descriptor); // closes it in the end
  sys::fs::file_status status;
  std::error_code code = sys::fs::status(*descriptor, status);
  if (!code && !sys::fs::is_regular_file(status)) {
    error = "the model is not a regular file";
    return false;
  }
  if (!code && status.getSize() == 0) {
    error = "the model file is empty";
    return false;
  }
  // Mapped to be scanned: pages of large tensors are never touched here.
  sys::fs::mapped_file_region map;
  if (!code)
    map = sys::fs::mapped_file_region(*descriptor, sys::fs::mapped_file_region::readonly, status.getSize(), 0, code);
  if (code) {
    error = "cannot read the model: " + code.message();
    return false;
  }
  return parseModelBytes(StringRef(map.const_data(), map.size()), file, error);
}

/// Whether braces, outside of strings and comments, are more than `most` deep in each other: ONNX's parser recurses.
static bool isNestedDeeper(StringRef text, int most) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
    case '"':
      for (++i; i < text.size() && text[i] != '"'; ++i)
        i += text[i] == '\\';
      break;
    case '#':
      i = std::min(text.find('\n', i), text.size());
      break;
    case '{':
    case '<':
    case '(':
      if (++depth > most)
        return true;
      break;
    case '}':
    case ')':
      --depth;
      break;
    case '>':
      depth -= text[i - (i > 0)] != '='; // "=>" is none
      break;
    }
  }
  return false;
}

bool ds::importer::parseModelText(StringRef text, ModelFile &file, std::string &error) {
  constexpr int MaxNesting = 300; // of three a graph in a graph
  if (isNestedDeeper(text, MaxNesting)) {
    error = "graphs are nested more than " + std::to_string(MaxNesting / 3) + " deep, which is not supported";
    return false;
  }
  std::string terminated = text.str();
  try {
    onnx::OnnxParser parser(terminated.c_str());
    onnx::Common::Status status = parser.Parse(*file.model);
    if (!status.IsOK()) {
      error = oneLine(status.ErrorMessage());
      return false;
    }
    if (!parser.EndOfInput()) {
      error = "text follows the end of the model";
      return false;
    }
    keepLargeData(*file.model, file.data, /*isExtracted=*/false);
  } catch (const std::exception &exception) {
    error = oneLine(exception.what());
    return false;
  }
  return true;
}
