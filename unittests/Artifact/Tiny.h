//===- Tiny.h - The description of TinyProgram.c ----------------*- C++ -*-===//
// Assumes: kept in step with TinyProgram.c.
// Guarantees: one symbol, two computed sizes, a weight, a temporary, a constraint: something of everything.
// Declines: being useful.
//===----------------------------------------------------------------------===//
#ifndef DS_UNITTESTS_ARTIFACT_TINY_H
#define DS_UNITTESTS_ARTIFACT_TINY_H

#include "ds/Artifact/Link.h"
#include "unittests/Runtime/TestFiles.h"
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace ds::test {

inline const float tinyWeights[4] = {1, 10, 100, 1000};

inline artifact::Program tinyProgram() {
  using namespace artifact;
  Program p;
#if defined(__aarch64__)
  p.triple = "aarch64-unknown-linux-gnu";
#else
  p.triple = "x86_64-unknown-linux-gnu";
  p.features = checkedFeatures(p.triple, "+sse2,+fxsr,-avx512f,+fast-lzcnt");
#endif
  p.cpu = "generic";
  p.compiler = "hand";
  p.valueCount = 3;
  p.stages = {{1, 3, 0, Number::constant(4)}};
  p.symbols = {{"N", "N", 0, 0}};
  const Number n = Number::ofSymbol(0);
  p.inputs = {
      {"a", DS_FLOAT32, {{n, "N"}, {Number::constant(4), "4"}}}, {"b", DS_FLOAT32, {{n, "N"}}}, {"pick", DS_INT64, {}}};
  p.outputs = {{"sum", DS_FLOAT32, {{n, "N"}}}, {"row", DS_FLOAT32, {{Number::ofValue(1), "2*N+1"}}}};
  p.constraints = {"the batch N must be at most 1000"};
  p.weights = {{sizeof tinyWeights, tinyWeights, nullptr}};
  p.buffers = {Buffer::input(0),
               Buffer::input(1),
               Buffer::input(2),
               Buffer::output(0, 1),
               Buffer::output(1, 2),
               Buffer::weight(0),
               Buffer::temporary(Number::ofValue(0), 0, 1)};
  p.kernels = {{"multiply_weights", "mul"}, {"sum_rows", "sum"}, {"fill_row", "row"}};
  p.launches = {{0, "node 'mul' (Mul)", Number::ofValue(2), Number::ofValue(0)},
                {1, "node 'sum' (ReduceSum)", Number::ofValue(2), Number::none()},
                {2, "node 'row' (Gather)", Number::none(), Number::ofValue(1)}};
  p.properties = {{"author", "nobody"}, {"alphabet", "a\nb\nc"}};
  return p;
}

/// Links into the file `path`, which a failure removes; returns what went wrong.
inline std::string linkTo(const std::string &path, const std::vector<artifact::Object> &objects,
                          artifact::Variants variants, artifact::EmitKind kind) {
  unlink(path.c_str()); // an old file may be mapped
  const int descriptor = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0777);
  if (descriptor < 0)
    return "cannot open " + path;
  std::string error = artifact::linkArtifact(objects, variants, kind, descriptor);
  close(descriptor);
  if (!error.empty())
    unlink(path.c_str());
  return error;
}

/// Links the tiny program; returns the path.
inline std::string linkTiny(const std::string &path, artifact::EmitKind kind,
                            const artifact::Program &program = tinyProgram()) {
  const std::string error = linkTo(path, {{DS_TINY_OBJECT, {}}}, {&program, 1}, kind);
  EXPECT_EQ(error, "");
  return path;
}

} // namespace ds::test

#endif
