//===- ds_runtime.hpp - The runtime's C interface for C++ -------*- C++ -*-===//
// Assumes: C++17 with exceptions; the functions of ds_runtime.h, which also says what each of them does.
// Guarantees: owners release what they own; a failure is an Error with the runtime's status and message.
// Declines: owning tensors. A Tensor is a view; its memory is the program's or a session's.
//
//     ds::Model model("model.so");
//     ds::Session session(model);
//     std::vector<float> x(128);
//     std::vector<ds::Tensor> y = session.run({ds::Tensor(x.data(), {1, 128})});
//     use(y[0].data<float>(), y[0].shape());                    // valid until the next run
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_HPP
#define DS_RUNTIME_HPP

#include "ds_dlpack.h"
#include "ds_runtime.h"
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ds {

/// A function of the runtime failed.
class Error : public std::runtime_error {
public:
  Error(ds_status status, const std::string &message) : std::runtime_error(message), code(status) {}
  ds_status status() const { return code; }

private:
  ds_status code;
};

inline void check(ds_status status, const ds_error &error) {
  if (status)
    throw Error(status, error.message);
}

/// The element type of T: DS_FLOAT32 for float, and so on. Half-precision numbers have no C++ type; they are given as
/// uint16_t with DS_FLOAT16 or DS_BFLOAT16 spelled out.
template <typename T> constexpr int32_t dtypeOf() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, bool>)
    return DS_BOOL;
  else if constexpr (std::is_same_v<U, float>)
    return DS_FLOAT32;
  else if constexpr (std::is_same_v<U, double>)
    return DS_FLOAT64;
  else {
    static_assert(std::is_integral_v<U>, "models have no such element type");
    constexpr int32_t log = sizeof(U) == 1 ? 0 : sizeof(U) == 2 ? 1 : sizeof(U) == 4 ? 2 : 3;
    return (std::is_signed_v<U> ? DS_INT8 : DS_UINT8) + log;
  }
}

/// A view of memory with a shape. One without a type stands for a fed input (Session::feed).
class Tensor {
public:
  Tensor() = default;
  template <typename T>
  Tensor(T *data, std::vector<int64_t> shape, int32_t dtype = dtypeOf<T>(), std::vector<int64_t> strides = {})
      : memory(const_cast<std::remove_cv_t<T> *>(data)), type(dtype), sizes(std::move(shape)),
        steps(std::move(strides)) {
    if (!steps.empty() && steps.size() != sizes.size())
      throw Error(DS_BAD_ARGUMENT, "a tensor has " + std::to_string(sizes.size()) + " dimensions and " +
                                       std::to_string(steps.size()) + " strides");
  }
  explicit Tensor(const ds_tensor &tensor)
      : memory(tensor.data), type(tensor.dtype), sizes(tensor.shape, tensor.shape + tensor.rank) {
    if (tensor.strides)
      steps.assign(tensor.strides, tensor.strides + tensor.rank);
  }
  /// Of another framework, without a copy; `tensor` must outlive the view.
  static Tensor fromDlpack(const DLTensor &tensor) {
    ds_tensor out;
    ds_error error;
    check(ds_tensor_from_dlpack(&tensor, &out, &error), error);
    return Tensor(out);
  }

  int32_t dtype() const { return type; }
  const std::vector<int64_t> &shape() const { return sizes; }
  const std::vector<int64_t> &strides() const { return steps; } ///< empty: row-major without gaps
  int64_t size() const {
    int64_t count = 1;
    for (int64_t dimension : sizes)
      count *= dimension;
    return count;
  }
  void *data() const { return memory; }
  /// The elements, which must be of type T.
  template <typename T> T *data() const {
    if (type != dtypeOf<T>())
      throw Error(DS_BAD_ARGUMENT, std::string("the tensor holds ") + ds_dtype_name(type) + ", asked for " +
                                       ds_dtype_name(dtypeOf<T>()));
    return static_cast<T *>(memory);
  }
  /// Points into this object.
  ds_tensor c() const {
    return {memory, type, int32_t(sizes.size()), sizes.data(), steps.empty() ? nullptr : steps.data()};
  }

private:
  void *memory = nullptr;
  int32_t type = 0;
  std::vector<int64_t> sizes, steps;
};

/// A loaded artifact, shared by copies and by its sessions.
class Model {
public:
  explicit Model(const std::string &path) {
    load([&](ds_model **model, ds_error *error) { return ds_model_load(path.c_str(), model, error); });
  }
  Model(const void *data, size_t size) {
    load([&](ds_model **model, ds_error *error) { return ds_model_load_memory(data, size, model, error); });
  }
  /// Linked into this program: DS_DECLARE_MODEL(bert); ds::Model model(ds_model_bert);
  explicit Model(const ds_embedded_model &embedded) {
    load([&](ds_model **model, ds_error *error) { return ds_model_load_embedded(&embedded, model, error); });
  }

  ds_model *c() const { return handle.get(); }
  size_t inputCount() const { return ds_model_input_count(c()); }
  size_t outputCount() const { return ds_model_output_count(c()); }
  ds_tensor_info input(size_t index) const { return info(ds_model_input, index); }
  ds_tensor_info output(size_t index) const { return info(ds_model_output, index); }
  /// The number of the input or output of that name.
  size_t inputIndex(const std::string &name) const { return find(ds_model_input, inputCount(), name, "input"); }
  size_t outputIndex(const std::string &name) const { return find(ds_model_output, outputCount(), name, "output"); }
  /// Compares all weights with their checksum.
  void verify() const {
    ds_error error;
    check(ds_model_verify(c(), &error), error);
  }

private:
  using Describe = ds_status (*)(const ds_model *, size_t, ds_tensor_info *);

  template <typename Function> void load(Function function) {
    ds_model *model = nullptr;
    ds_error error;
    check(function(&model, &error), error);
    handle.reset(model, ds_model_release);
  }
  ds_tensor_info info(Describe describe, size_t index) const {
    ds_tensor_info result;
    if (describe(c(), index, &result))
      throw Error(DS_BAD_ARGUMENT, "the model has no input or output number " + std::to_string(index));
    return result;
  }
  size_t find(Describe describe, size_t count, const std::string &name, const char *what) const {
    for (size_t i = 0; i < count; ++i)
      if (info(describe, i).name == name)
        return i;
    throw Error(DS_BAD_ARGUMENT, std::string("the model has no ") + what + " '" + name + "'");
  }

  std::shared_ptr<ds_model> handle;
};

/// Runs of a model by one thread at a time.
class Session {
public:
  explicit Session(const Model &model, const ds_session_options &options = {})
      : outputs(model.outputCount()), model(model) {
    ds_session *session = nullptr;
    ds_error error;
    check(ds_session_create(model.c(), &options, &session, &error), error);
    handle.reset(session);
  }

  ds_session *c() const { return handle.get(); }

  /// Outputs in the session's memory, valid until the next run.
  std::vector<Tensor> run(const std::vector<Tensor> &inputs) {
    for (ds_tensor &output : outputs)
      output = {};
    start(inputs, outputs.data(), outputs.size());
    return std::vector<Tensor>(outputs.begin(), outputs.end());
  }
  /// Outputs in the caller's memory, of the shapes that `infer` tells.
  void run(const std::vector<Tensor> &inputs, const std::vector<Tensor> &into) {
    std::vector<ds_tensor> given = list(into);
    start(inputs, given.data(), given.size());
  }
  /// Types and shapes of the outputs for inputs of these shapes; the tensors have no data.
  std::vector<Tensor> infer(const std::vector<Tensor> &inputs) {
    std::vector<ds_tensor> given = list(inputs), result(outputs.size());
    ds_error error;
    check(ds_session_infer(c(), given.data(), given.size(), result.data(), result.size(), &error), error);
    return std::vector<Tensor>(result.begin(), result.end());
  }
  /// Output `output` of each run is input `input` of the next wherever that input is Tensor().
  void feed(const std::string &output, const std::string &input) {
    ds_error error;
    check(ds_session_feed(c(), model.outputIndex(output), model.inputIndex(input), &error), error);
  }
  /// Output number `index` of the last run leaves the session; the caller calls its deleter.
  DLManagedTensorVersioned *detach(size_t index) {
    DLManagedTensorVersioned *tensor = nullptr;
    ds_error error;
    check(ds_session_detach(c(), index, &tensor, &error), error);
    return tensor;
  }
  uint32_t threads() const { return ds_session_threads(c()); }
  uint64_t memory() const { return ds_session_memory(c()); }

private:
  static std::vector<ds_tensor> list(const std::vector<Tensor> &tensors) {
    std::vector<ds_tensor> result;
    result.reserve(tensors.size());
    for (const Tensor &tensor : tensors)
      result.push_back(tensor.c());
    return result;
  }
  void start(const std::vector<Tensor> &inputs, ds_tensor *out, size_t count) {
    std::vector<ds_tensor> given = list(inputs);
    ds_error error;
    check(ds_session_run(c(), given.data(), given.size(), out, count, &error), error);
  }
  struct Destroy {
    void operator()(ds_session *session) const { ds_session_destroy(session); }
  };

  std::unique_ptr<ds_session, Destroy> handle;
  std::vector<ds_tensor> outputs;
  Model model;
};

} // namespace ds

#endif
