//===- Custom.h - The description of TinyCustom.c ---------------*- C++ -*-===//
// Assumes: kept in step with TinyCustom.c.
// Guarantees: an operator with an attribute of each kind, an input and an output that the node leaves out, and an
//   output whose size the operator tells.
// Declines: being useful.
//===----------------------------------------------------------------------===//
#ifndef DS_UNITTESTS_ARTIFACT_CUSTOM_H
#define DS_UNITTESTS_ARTIFACT_CUSTOM_H

#include "Tiny.h"

namespace ds::test {

inline artifact::Program customProgram() {
  using namespace artifact;
  Program p = tinyProgram();
  const Number n = Number::ofSymbol(0);
  p.valueCount = 2;
  p.stages = {{1, 1, 0, Number::constant(4)}, {2, 2, 1, Number::constant(4)}};
  p.bound = {{"r", "node 's' (com.example.Stretch)", 2, 0, 0}};
  p.inputs = {{"x", DS_FLOAT32, {{n, "N"}}}};
  p.outputs = {{"y", DS_FLOAT32, {{Number::ofSymbol(1), "r"}}}};
  p.constraints = {};
  p.buffers = {Buffer::input(0), Buffer::output(0, 1), Buffer::temporary(Number::ofValue(0), 0, 0), Buffer::result(0)};
  p.kernels = {{"double_it", "double"}, {"add_one", "one"}};
  p.launches = {{0, "node 'double' (Mul)", Number::none(), Number::none()},
                {1, "node 'one' (Add)", Number::none(), Number::none()}};
  Call call;
  call.kind = DS_CALL_CUSTOM;
  call.source = "node 's' (com.example.Stretch)";
  call.name = "Stretch";
  call.domain = "com.example";
  call.inputs = {{2, {"", DS_FLOAT32, {{n, "N"}}}}, {}};
  call.outputs = {{3, {"", DS_FLOAT32, {{Number::ofSymbol(1), "r"}}}}, {}};
  call.attributes = {{"times", DS_ATTRIBUTE_INT, {3}},
                     {"scale", DS_ATTRIBUTE_FLOAT, {}, {0.5f}},
                     {"mode", DS_ATTRIBUTE_STRING, {}, {}, {"fast"}},
                     {"pads", DS_ATTRIBUTE_INTS, {1, -2, int64_t(1) << 40}},
                     {"rates", DS_ATTRIBUTE_FLOATS, {}, {1.5f, -0.25f, 8}},
                     {"names", DS_ATTRIBUTE_STRINGS, {}, {}, {"a", "", std::string("b\0c", 3)}},
                     {"table", DS_ATTRIBUTE_TENSOR, {2, 2}, {}, {}, 0, DS_FLOAT32},
                     {"empty", DS_ATTRIBUTE_INTS}};
  p.calls = {call};
  return p;
}

} // namespace ds::test

#endif
