//===- SessionCustom.h - A node of a custom operator ------------*- C++ -*-===//
// Assumes: the session and the model outlive it.
// Guarantees: attributes as the C interface shows them, made once.
// Declines: anything of the operator itself, which is the program's.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_SESSIONCUSTOM_H
#define DS_RUNTIME_SESSIONCUSTOM_H

#include "Session.h"

/// What the operator's functions get to ask about.
struct ds_custom_node {
  ds_session *Session = nullptr;
  const ds_artifact_call *Call = nullptr;
  ds::runtime::Array<ds_attribute> Attributes;
  ds::runtime::Array<ds_string> Strings; // of all attributes
  std::atomic<bool> Spread{false};       // a part of its work runs on several threads now
};

namespace ds::runtime {

struct CustomState {
  ds_custom_op Operator = {};
  ds_custom_node Node;
  Array<ds_custom_output> Shapes;
  Array<int64_t> Sizes; // of all outputs, one after another
  Array<ds_tensor> Outputs;
  Array<Region> Memory; // one an output
  size_t Counter = 0;   // of the session's profile: behind those of the launches
};

} // namespace ds::runtime

#endif
