//===- ModelTest.cpp - What format a file has -----------------------------===//
#include "ds/Import/Model.h"

#include <gtest/gtest.h>

using namespace ds;

TEST(ModelFormat, OfNamesInAnyCase) {
  for (const char *name : {"a.onnx", "a.ONNX", "x/b.Onnx"})
    EXPECT_EQ(formatOfName(name), ModelFormat::Onnx) << name;
  EXPECT_EQ(formatOfName("a.OnnxTxt"), ModelFormat::OnnxText);
  EXPECT_EQ(formatOfName("a.MLIR"), ModelFormat::Mlir);
  for (const char *name : {"a.pb", "a", "onnx", "-", "a.onnx.gz"})
    EXPECT_FALSE(formatOfName(name)) << name;
}

TEST(ModelFormat, OfContents) {
  EXPECT_EQ(formatOfContents(llvm::StringRef("\x08\x0a\x12\x04main:", 10)), ModelFormat::Onnx);
  EXPECT_EQ(formatOfContents(" <ir_version: 9>\nagraph"), ModelFormat::OnnxText);
  EXPECT_EQ(formatOfContents("# a comment\n\n<ir_version: 9>"), ModelFormat::OnnxText);
  EXPECT_EQ(formatOfContents("// RUN: it\nmodule {\n}"), ModelFormat::Mlir);
  EXPECT_EQ(formatOfContents("func.func @main() {"), ModelFormat::Mlir);
  EXPECT_FALSE(formatOfContents("import torch\nprint('hello')\n"));
  EXPECT_FALSE(formatOfContents("{\"format\": \"json\"}"));
}
