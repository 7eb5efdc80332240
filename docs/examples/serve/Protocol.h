//===- Protocol.h - JSON to tensors and back --------------------*- C++ -*-===//
// Assumes: nothing of what clients send.
// Guarantees: what does not fit the model is a BadRequest that says what was expected; numbers keep their value.
// Declines: half-precision and text tensors, which JSON has no numbers for; KServe's binary extension.
// Source: https://kserve.github.io/website/latest/modelserving/data_plane/v2_protocol
//===----------------------------------------------------------------------===//
#ifndef DS_EXAMPLES_SERVE_PROTOCOL_H
#define DS_EXAMPLES_SERVE_PROTOCOL_H

#include "Batcher.h"
#include <nlohmann/json.hpp>

namespace serve {

struct BadRequest : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// {"x": [[1, 2]]}: one nested list a model input.
std::vector<Array> parsePlain(const ds::Model &model, const nlohmann::json &body);
nlohmann::json formatPlain(const ds::Model &model, const std::vector<Array> &outputs);

/// KServe's inference request, {"inputs": [{"name", "shape", "datatype", "data"}]}, and its response.
std::vector<Array> parseInfer(const ds::Model &model, const nlohmann::json &body);
nlohmann::json formatInfer(const ds::Model &model, const std::string &name, const nlohmann::json &request,
                           const std::vector<Array> &outputs);
/// KServe's model metadata.
nlohmann::json describeModel(const ds::Model &model, const std::string &name);

} // namespace serve

#endif
