//===- Protocol.cpp - JSON to tensors and back ----------------------------===//
// Assumes, guarantees, declines: see Protocol.h.
//===----------------------------------------------------------------------===//
#include "Protocol.h"
#include <cstring>
#include <limits>
#include <set>

using nlohmann::json;

namespace serve {

/// As the protocol calls an element type.
static std::string datatypeOf(int32_t dtype) {
  static const char *const names[] = {"",       "BOOL",   "INT8",   "INT16", "INT32", "INT64", "UINT8",
                                      "UINT16", "UINT32", "UINT64", "FP16",  "BF16",  "FP32",  "FP64"};
  if (dtype == DS_STRING)
    return "BYTES";
  return dtype < int32_t(std::size(names)) ? names[dtype] : ds_dtype_name(dtype);
}

static std::string inputName(const ds_tensor_info &info) { return "input '" + std::string(info.name) + "'"; }

/// Calls `use` with a value of the C++ type of `dtype`.
template <typename Use> static void withType(int32_t dtype, const std::string &what, Use use) {
  switch (dtype) {
  case DS_BOOL:
    return use(bool());
  case DS_INT8:
    return use(int8_t());
  case DS_INT16:
    return use(int16_t());
  case DS_INT32:
    return use(int32_t());
  case DS_INT64:
    return use(int64_t());
  case DS_UINT8:
    return use(uint8_t());
  case DS_UINT16:
    return use(uint16_t());
  case DS_UINT32:
    return use(uint32_t());
  case DS_UINT64:
    return use(uint64_t());
  case DS_FLOAT32:
    return use(float());
  case DS_FLOAT64:
    return use(double());
  case DS_STRING:
    return use(std::string());
  default:
    throw BadRequest(what + " is " + ds_dtype_name(dtype) + ", which JSON cannot carry");
  }
}

template <typename T> static void appendNumber(std::vector<char> &bytes, const json &value, const std::string &what) {
  T element{};
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean() && value != 0 && value != 1)
      throw BadRequest(what + " holds something other than true, false, 0 and 1");
    element = value.is_boolean() ? value.get<bool>() : value != 0;
  } else if constexpr (std::is_integral_v<T>) {
    bool isInside = value.is_number_integer();
    if (isInside && value.is_number_unsigned())
      isInside = value.get<uint64_t>() <= uint64_t(std::numeric_limits<T>::max());
    else if (isInside)
      isInside = std::is_signed_v<T> && value.get<int64_t>() >= int64_t(std::numeric_limits<T>::min());
    if (!isInside)
      throw BadRequest(what + " holds " + value.dump().substr(0, 40) + ", which is no integer of its type");
    element = value.get<T>();
  } else {
    if (!value.is_number())
      throw BadRequest(what + " holds " + value.dump().substr(0, 40) + ", which is no number");
    element = value.get<T>();
  }
  const char *raw = reinterpret_cast<const char *>(&element);
  bytes.insert(bytes.end(), raw, raw + sizeof element);
}

template <typename T> static void append(Array &array, const json &value, const std::string &what) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!value.is_string())
      throw BadRequest(what + " holds " + value.dump().substr(0, 40) + ", which is no string");
    return array.addText(value.get<std::string>());
  } else {
    appendNumber<T>(array.bytes, value, what);
  }
}

/// Appends all elements of nested lists; checks their lengths against `shape`, from dimension `depth` on.
template <typename T>
static void flatten(const json &value, const std::vector<int64_t> &shape, size_t depth, Array &array,
                    const std::string &what) {
  if (depth == shape.size())
    return append<T>(array, value, what);
  if (!value.is_array() || int64_t(value.size()) != shape[depth])
    throw BadRequest(what + " should have " + std::to_string(shape[depth]) + " entries in dimension " +
                     std::to_string(depth) + " everywhere");
  for (const json &entry : value)
    flatten<T>(entry, shape, depth + 1, array, what);
}

static Array fromNested(const ds_tensor_info &info, const json &value) {
  Array array;
  array.dtype = info.dtype;
  const json *at = &value;
  for (int32_t i = 0; i < info.rank; ++i) {
    if (!at->is_array())
      throw BadRequest(inputName(info) + " should be lists nested " + std::to_string(info.rank) + " deep");
    array.shape.push_back(int64_t(at->size()));
    if (at->empty()) { // sizes further in cannot be seen
      for (++i; i < info.rank; ++i)
        array.shape.push_back(std::max<int64_t>(0, info.dimensions[i].size));
      return array;
    }
    at = &(*at)[0];
  }
  withType(info.dtype, inputName(info),
           [&](auto type) { flatten<decltype(type)>(value, array.shape, 0, array, inputName(info)); });
  return array;
}

std::vector<Array> parsePlain(const ds::Model &model, const json &body) {
  if (!body.is_object())
    throw BadRequest("expected an object with a list for each input");
  std::vector<Array> arrays;
  for (size_t i = 0; i < model.inputCount(); ++i) {
    const ds_tensor_info info = model.input(i);
    if (!body.contains(info.name))
      throw BadRequest(inputName(info) + " is missing");
    arrays.push_back(fromNested(info, body[info.name]));
  }
  if (body.size() != model.inputCount())
    for (const auto &entry : body.items())
      model.inputIndex(entry.key()); // names the one that the model lacks
  return arrays;
}

template <typename T> static json element(const char *bytes, size_t index) {
  if constexpr (std::is_same_v<T, std::string>) {
    ds_string text;
    memcpy(&text, bytes + index * sizeof text, sizeof text);
    return std::string(text.data, text.size);
  } else {
    T value;
    memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
  }
}

static json nested(const Array &array, size_t depth, size_t &index) {
  json result;
  if (depth == array.shape.size()) {
    withType(array.dtype, "an output", [&](auto type) { result = element<decltype(type)>(array.bytes.data(), index); });
    ++index;
    return result;
  }
  result = json::array();
  for (int64_t i = 0; i < array.shape[depth]; ++i)
    result.push_back(nested(array, depth + 1, index));
  return result;
}

json formatPlain(const ds::Model &model, const std::vector<Array> &outputs) {
  json result = json::object();
  for (size_t i = 0; i < outputs.size(); ++i) {
    size_t index = 0;
    result[model.output(i).name] = nested(outputs[i], 0, index);
  }
  return result;
}

static const json &member(const json &object, const char *key, const std::string &what) {
  if (!object.is_object() || !object.contains(key))
    throw BadRequest(what + " lacks '" + key + "'");
  return object[key];
}

static Array fromInferInput(const ds_tensor_info &info, const json &given) {
  const std::string what = inputName(info);
  Array array;
  array.dtype = info.dtype;
  const json &datatype = member(given, "datatype", what);
  if (datatype != datatypeOf(info.dtype))
    throw BadRequest(what + " should have datatype " + datatypeOf(info.dtype) + ", given " + datatype.dump());
  const json &shape = member(given, "shape", what);
  int64_t count = 1;
  if (!shape.is_array() || shape.size() > DS_ARTIFACT_MAX_RANK)
    throw BadRequest(what + " should have a list as 'shape'");
  for (const json &size : shape) {
    if (!size.is_number_integer() || size.get<int64_t>() < 0 ||
        __builtin_mul_overflow(count, size.get<int64_t>(), &count))
      throw BadRequest(what + " has a 'shape' that cannot be");
    array.shape.push_back(size.get<int64_t>());
  }
  const json &data = member(given, "data", what);
  if (!data.is_array())
    throw BadRequest(what + " should have a list as 'data'");
  const bool isFlat = data.empty() || !data[0].is_array();
  if (isFlat && int64_t(data.size()) != count)
    throw BadRequest(what + " has " + std::to_string(data.size()) + " elements, its shape needs " +
                     std::to_string(count));
  const std::vector<int64_t> flat = {count};
  withType(info.dtype, what,
           [&](auto type) { flatten<decltype(type)>(data, isFlat ? flat : array.shape, 0, array, what); });
  return array;
}

std::vector<Array> parseInfer(const ds::Model &model, const json &body) {
  const json &inputs = member(body, "inputs", "the request");
  if (!inputs.is_array())
    throw BadRequest("'inputs' should be a list");
  std::vector<Array> arrays(model.inputCount());
  std::set<size_t> seen;
  for (const json &given : inputs) {
    const json &name = member(given, "name", "an input");
    const size_t index = model.inputIndex(name.is_string() ? name.get<std::string>() : name.dump());
    if (!seen.insert(index).second)
      throw BadRequest(inputName(model.input(index)) + " is given twice");
    arrays[index] = fromInferInput(model.input(index), given);
  }
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!seen.count(i))
      throw BadRequest(inputName(model.input(i)) + " is missing");
  return arrays;
}

json formatInfer(const ds::Model &model, const std::string &name, const json &request,
                 const std::vector<Array> &outputs) {
  std::set<size_t> wanted;
  if (request.contains("outputs") && request["outputs"].is_array())
    for (const json &output : request["outputs"]) {
      const json &named = member(output, "name", "an output");
      wanted.insert(model.outputIndex(named.is_string() ? named.get<std::string>() : named.dump()));
    }
  json response = {{"model_name", name}, {"model_version", "1"}, {"outputs", json::array()}};
  if (request.contains("id") && request["id"].is_string())
    response["id"] = request["id"];
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!wanted.empty() && !wanted.count(i))
      continue;
    json data = json::array();
    const size_t count = outputs[i].bytes.size() / ds_dtype_size(outputs[i].dtype);
    withType(outputs[i].dtype, "an output", [&](auto type) {
      for (size_t j = 0; j < count; ++j)
        data.push_back(element<decltype(type)>(outputs[i].bytes.data(), j));
    });
    response["outputs"].push_back({{"name", model.output(i).name},
                                   {"datatype", datatypeOf(outputs[i].dtype)},
                                   {"shape", outputs[i].shape},
                                   {"data", std::move(data)}});
  }
  return response;
}

json describeModel(const ds::Model &model, const std::string &name) {
  json result = {{"name", name}, {"versions", {"1"}}, {"platform", "ds"}};
  auto describe = [](const ds_tensor_info &info) {
    json shape = json::array();
    for (int32_t i = 0; i < info.rank; ++i)
      shape.push_back(info.dimensions[i].size);
    return json{{"name", info.name}, {"datatype", datatypeOf(info.dtype)}, {"shape", shape}};
  };
  for (size_t i = 0; i < model.inputCount(); ++i)
    result["inputs"].push_back(describe(model.input(i)));
  for (size_t i = 0; i < model.outputCount(); ++i)
    result["outputs"].push_back(describe(model.output(i)));
  return result;
}

} // namespace serve
