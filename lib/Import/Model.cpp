//===- Model.cpp - A model's file, whatever format it has -----------------===//
// Assumes: see ds/Import/Model.h.
// Guarantees: see ds/Import/Model.h.
// Declines: see ds/Import/Model.h.

#include "ds/Import/Model.h"

#include "ds/Import/Onnx.h"
#include "ds/Import/Text.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace ds;

std::optional<ModelFormat> ds::formatOfName(StringRef path) {
  return StringSwitch<std::optional<ModelFormat>>(sys::path::extension(path))
      .CaseLower(".onnx", ModelFormat::Onnx)
      .CaseLower(".onnxtxt", ModelFormat::OnnxText)
      .CaseLower(".mlir", ModelFormat::Mlir)
      .Default(std::nullopt);
}

std::optional<ModelFormat> ds::formatOfContents(StringRef head) {
  // A message begins with the tag of its first field, and has small numbers soon.
  auto isControl = [](char c) { return (c >= 0 && c < ' ' && !is_contained({'\t', '\n', '\v', '\f', '\r'}, c)); };
  if (any_of(head, isControl))
    return ModelFormat::Onnx;
  StringRef text = head.ltrim();
  while (text.consume_front("#") || text.consume_front("//")) // comments of either
    text = text.split('\n').second.ltrim();
  if (text.starts_with("<"))
    return ModelFormat::OnnxText;
  if (head.contains("func.func") || text.starts_with("module") || text.starts_with("\"builtin.module\""))
    return ModelFormat::Mlir;
  return std::nullopt;
}

/// The first bytes of a file; "" where it cannot be read, which its reader says better.
static std::string readHead(StringRef path) {
  std::string head(4096, '\0');
  Expected<sys::fs::file_t> file = sys::fs::openNativeFileForRead(path);
  if (!file) {
    consumeError(file.takeError());
    return "";
  }
  Expected<size_t> count = sys::fs::readNativeFileSlice(*file, MutableArrayRef(head.data(), head.size()), 0);
  sys::fs::closeFile(*file);
  if (!count) {
    consumeError(count.takeError());
    return "";
  }
  head.resize(*count);
  return head;
}

mlir::OwningOpRef<mlir::ModuleOp> ds::importModelFile(mlir::MLIRContext &context, StringRef path, StringRef name,
                                                      const ImportOptions &options) {
  std::optional<ModelFormat> format = formatOfName(name);
  if (!format) {
    std::string head = readHead(path);
    format = head.empty() ? ModelFormat::Onnx : formatOfContents(head);
  }
  if (!format) {
    mlir::emitError(mlir::UnknownLoc::get(&context))
        << "the file is no model: expected an ONNX model (.onnx, .pb), ONNX's text format (.onnxtxt) or ops of ds "
           "(.mlir)";
    return {};
  }
  switch (*format) {
  case ModelFormat::Onnx:
    return importOnnxFile(context, path, sys::path::parent_path(name), options);
  case ModelFormat::OnnxText:
    return importOnnxTextFile(context, path, options);
  case ModelFormat::Mlir:
    return importTextFile(context, path, options);
  }
  llvm_unreachable("unknown format");
}
