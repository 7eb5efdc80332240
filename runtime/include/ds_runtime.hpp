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
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
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
  else if constexpr (std::is_same_v<U, ds_string>)
    return DS_STRING;
  else {
    static_assert(std::is_integral_v<U>, "models have no such element type");
    constexpr int32_t log = sizeof(U) == 1 ? 0 : sizeof(U) == 2 ? 1 : sizeof(U) == 4 ? 2 : 3;
    return (std::is_signed_v<U> ? DS_INT8 : DS_UINT8) + log;
  }
}

/// A view of memory with a shape. One without a type stands for an input that is left out: a fed one (Session::feed), the
/// state of a donated one (Session::setState), or an optional one.
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
      : memory(tensor.data), type(tensor.dtype), sizes(tensor.shape, tensor.shape + tensor.rank),
        place(tensor.device) {
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
  ds_device device() const { return place; }
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
    return {memory, type, int32_t(sizes.size()), sizes.data(), steps.empty() ? nullptr : steps.data(), place};
  }

private:
  void *memory = nullptr;
  int32_t type = 0;
  std::vector<int64_t> sizes, steps;
  ds_device place = {};
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
  /// Whether a run may leave the input out (Tensor()).
  bool isOptional(size_t input) const { return ds_model_input_is_optional(c(), input) != 0; }
  /// What an input is that is left out; not to be written to.
  Tensor inputDefault(size_t input) const {
    ds_tensor value;
    if (ds_model_input_default(c(), input, &value))
      throw Error(DS_BAD_ARGUMENT, "input number " + std::to_string(input) + " has no default");
    return Tensor(value);
  }
  /// The number of the output that an input is donated to; DS_NO_OUTPUT where it is not.
  size_t donation(size_t input) const { return ds_model_donation(c(), input); }
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

/// The node whose custom operator runs.
class CustomNode {
public:
  explicit CustomNode(ds_custom_node *node) : node(node) {}
  ds_custom_node *c() const { return node; }

  /// Attributes by name; `otherwise` where the node has none of that name and kind.
  int64_t getInt(const char *name, int64_t otherwise) const { return ds_custom_int(node, name, otherwise); }
  float getFloat(const char *name, float otherwise) const { return ds_custom_float(node, name, otherwise); }
  std::string getString(const char *name, const std::string &otherwise = {}) const {
    const ds_attribute *found = find(name, DS_ATTRIBUTE_STRING);
    return found ? std::string(found->strings[0].data, found->strings[0].size) : otherwise;
  }
  std::vector<int64_t> getInts(const char *name) const {
    const ds_attribute *found = find(name, DS_ATTRIBUTE_INTS);
    return found ? std::vector<int64_t>(found->ints, found->ints + found->count) : std::vector<int64_t>();
  }
  std::vector<float> getFloats(const char *name) const {
    const ds_attribute *found = find(name, DS_ATTRIBUTE_FLOATS);
    return found ? std::vector<float>(found->floats, found->floats + found->count) : std::vector<float>();
  }
  std::vector<std::string> getStrings(const char *name) const {
    std::vector<std::string> result;
    if (const ds_attribute *found = find(name, DS_ATTRIBUTE_STRINGS))
      for (size_t i = 0; i < found->count; ++i)
        result.emplace_back(found->strings[i].data, found->strings[i].size);
    return result;
  }
  /// Without a type where the node has none.
  Tensor getTensor(const char *name) const {
    const ds_attribute *found = find(name, DS_ATTRIBUTE_TENSOR);
    return found ? Tensor(found->tensor) : Tensor();
  }
  /// "node 'filter' (com.example.MyOp)"
  std::string source() const { return ds_custom_source(node); }

  /// Calls `body(begin, end)` for parts of [0, count), of at least `grain` each, on the session's threads. An exception
  /// comes out of here once all parts have ended.
  template <typename Body> void parallelFor(int64_t count, int64_t grain, Body body) const {
    struct Work {
      Body &body;
      std::atomic<bool> failed{false};
      std::exception_ptr thrown;
    } work{body, {}, {}};
    ds_custom_parallel(
        node, count, grain,
        [](void *argument, int64_t begin, int64_t end) -> int32_t {
          Work &work = *static_cast<Work *>(argument);
          try {
            work.body(begin, end);
          } catch (...) {
            if (!work.failed.exchange(true))
              work.thrown = std::current_exception();
          }
          return 0;
        },
        &work);
    if (work.failed)
      std::rethrow_exception(work.thrown);
  }

private:
  const ds_attribute *find(const char *name, int32_t kind) const {
    const ds_attribute *found = ds_custom_attribute(node, name);
    return found && found->kind == kind ? found : nullptr;
  }

  ds_custom_node *node;
};

/// An operator that models use and this program implements. Tensors that a node leaves out have dtype 0. Exceptions end
/// the run: an Error with its status, another one as DS_BAD_INPUT.
struct CustomOp {
  using Shapes = std::vector<std::vector<int64_t>>;

  std::string domain, name;
  /// Computes the outputs, which are memory of the session.
  std::function<void(CustomNode &node, const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs)> run;
  /// Fills in the sizes that are -1: those that the model does not say. May be empty where there are none.
  std::function<void(CustomNode &node, const std::vector<Tensor> &inputs, Shapes &shapes)> infer = {};
};

/// Runs of a model by one thread at a time.
class Session {
public:
  explicit Session(const Model &model, const ds_session_options &options = {}, std::vector<CustomOp> operators = {})
      : operators(std::make_unique<std::vector<CustomOp>>(std::move(operators))), outputs(model.outputCount()),
        model(model) {
    std::vector<ds_custom_op> all(options.custom_ops, options.custom_ops + options.custom_op_count);
    for (CustomOp &op : *this->operators)
      all.push_back({op.domain.c_str(), op.name.c_str(), &op, op.infer ? inferCustom : nullptr, op.run ? runCustom : nullptr});
    ds_session_options given = options;
    given.custom_ops = all.data();
    given.custom_op_count = all.size();
    ds_session *session = nullptr;
    ds_error error;
    check(ds_session_create(model.c(), &given, &session, &error), error);
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
  /// A symbol that no input has.
  void setSymbol(const std::string &name, int64_t value) {
    ds_error error;
    check(ds_session_set_symbol(c(), name.c_str(), value, &error), error);
  }
  /// Random numbers are drawn by this seed from now on, as in a session's first run.
  void seed(int64_t value) {
    ds_error error;
    check(ds_session_seed(c(), value, &error), error);
  }
  /// The state of a donated input, which runs update where that input is Tensor(): a copy of `value`.
  void setState(const std::string &input, const Tensor &value) {
    const ds_tensor tensor = value.c();
    ds_error error;
    check(ds_session_state_set(c(), model.inputIndex(input), &tensor, &error), error);
  }
  /// A state of zeros; the shape may be left out where the model knows all of it.
  void createState(const std::string &input, const std::vector<int64_t> &shape = {}) {
    const size_t index = model.inputIndex(input);
    if (!shape.empty() && shape.size() != size_t(model.input(index).rank))
      throw Error(DS_BAD_ARGUMENT, "the state of input '" + input + "' has " +
                                       std::to_string(model.input(index).rank) + " dimensions, given " +
                                       std::to_string(shape.size()));
    ds_error error;
    check(ds_session_state_create(c(), index, shape.empty() ? nullptr : shape.data(), &error), error);
  }
  /// The state itself, to read and to write between runs.
  Tensor state(const std::string &input) const {
    ds_tensor tensor;
    ds_error error;
    check(ds_session_state_get(c(), model.inputIndex(input), &tensor, &error), error);
    return Tensor(tensor);
  }
  void resetState(const std::string &input) {
    ds_error error;
    check(ds_session_state_reset(c(), model.inputIndex(input), &error), error);
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
  // What the runtime calls.
  static std::vector<Tensor> views(const ds_tensor *tensors, size_t count) {
    return std::vector<Tensor>(tensors, tensors + count);
  }
  template <typename Function> static int32_t guarded(ds_error *error, Function function) {
    auto say = [&](ds_status status, const char *message) {
      const std::string text = message;
      const size_t length = std::min(text.size(), sizeof error->message - 1);
      text.copy(error->message, length);
      error->message[length] = 0;
      return status;
    };
    try {
      function();
      return DS_OK;
    } catch (const Error &thrown) {
      return say(thrown.status(), thrown.what());
    } catch (const std::bad_alloc &) {
      return say(DS_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception &thrown) {
      return say(DS_BAD_INPUT, thrown.what());
    } catch (...) {
      return say(DS_BAD_INPUT, "an exception of a type that is not known");
    }
  }
  static int32_t inferCustom(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t inputCount,
                         ds_custom_output *outputs, size_t outputCount, ds_error *error) {
    return guarded(error, [&] {
      CustomNode wrapped(node);
      CustomOp::Shapes shapes;
      for (size_t i = 0; i < outputCount; ++i)
        shapes.emplace_back(outputs[i].shape, outputs[i].shape + outputs[i].rank);
      static_cast<CustomOp *>(context)->infer(wrapped, views(inputs, inputCount), shapes);
      if (shapes.size() != outputCount)
        throw Error(DS_BAD_INPUT, "the operator tells " + std::to_string(shapes.size()) + " shapes of " +
                                      std::to_string(outputCount) + " outputs");
      for (size_t i = 0; i < outputCount; ++i) {
        if (shapes[i].size() != size_t(outputs[i].rank))
          throw Error(DS_BAD_INPUT, "the operator tells a shape of " + std::to_string(shapes[i].size()) +
                                        " dimensions for output " + std::to_string(i) + ", which has " +
                                        std::to_string(outputs[i].rank));
        std::copy(shapes[i].begin(), shapes[i].end(), outputs[i].shape);
      }
    });
  }
  static int32_t runCustom(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t inputCount,
                       const ds_tensor *outputs, size_t outputCount, ds_error *error) {
    return guarded(error, [&] {
      CustomNode wrapped(node);
      static_cast<CustomOp *>(context)->run(wrapped, views(inputs, inputCount), views(outputs, outputCount));
    });
  }
  struct Destroy {
    void operator()(ds_session *session) const { ds_session_destroy(session); }
  };

  std::unique_ptr<std::vector<CustomOp>> operators; // outlives the session; its place is the operators' context
  std::unique_ptr<ds_session, Destroy> handle;
  std::vector<ds_tensor> outputs;
  Model model;
};

} // namespace ds

#endif
