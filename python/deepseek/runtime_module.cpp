//===- runtime_module.cpp - The runtime as a Python module ----------------===//
// Assumes: the global lock is held on entry; inputs stay alive during a run (their owners are referenced).
// Guarantees: the lock is released while a model loads or runs; large outputs are the session's own memory, handed over
//             without a copy; a failure is a deepseek.Error with the runtime's message.
// Declines: bfloat16 as a NumPy type, which NumPy lacks: it comes and goes as uint16 and __init__.py names it.
//===----------------------------------------------------------------------===//
#include "ds_runtime.hpp"
#include "train/Export.h"
#include "train/Initialize.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <optional>
#include <tuple>

namespace nb = nanobind;
using Input = nb::ndarray<nb::ro>;
using Output = nb::ndarray<nb::numpy>;

namespace {

// Outputs up to this size are copied into memory of malloc: cheaper than the pages that a session would need again.
constexpr size_t smallOutput = 256 << 10;

struct TensorInfo {
  std::string name, dtype;
  std::pair<int32_t, int32_t> device;
  std::vector<std::pair<int64_t, std::string>> dimensions; // size or -1, text
  bool isOptional = false;
};

TensorInfo describe(const ds_tensor_info &info) {
  TensorInfo result{info.name, ds_dtype_name(info.dtype), {info.device.device_type, info.device.device_id}, {}};
  for (int32_t i = 0; i < info.rank; ++i)
    result.dimensions.emplace_back(info.dimensions[i].size, info.dimensions[i].text);
  return result;
}

class Model {
public:
  explicit Model(const std::string &path)
      : model([&] {
          nb::gil_scoped_release unlocked;
          return ds::Model(path);
        }()) {}
  explicit Model(nb::bytes data)
      : model([&] {
          nb::gil_scoped_release unlocked;
          return ds::Model(data.data(), data.size());
        }()) {}

  std::vector<TensorInfo> inputs() const {
    std::vector<TensorInfo> result;
    for (size_t i = 0; i < model.inputCount(); ++i) {
      result.push_back(describe(model.input(i)));
      result.back().isOptional = model.isOptional(i);
    }
    return result;
  }
  std::vector<TensorInfo> outputs() const {
    std::vector<TensorInfo> result;
    for (size_t i = 0; i < model.outputCount(); ++i)
      result.push_back(describe(model.output(i)));
    return result;
  }
  std::vector<std::string> fixedInputs() const {
    std::vector<std::string> result;
    for (size_t i = 0; const char *name = ds_model_fixed_input(model.c(), i); ++i)
      result.push_back(name);
    return result;
  }
  /// What an input is that a call leaves out.
  nb::object defaultOf(size_t input) const;
  /// Numbers of inputs, and of the outputs that they are donated to.
  std::vector<std::pair<size_t, size_t>> donations() const {
    std::vector<std::pair<size_t, size_t>> result;
    for (size_t i = 0; i < model.inputCount(); ++i)
      if (size_t output = model.donation(i); output != DS_NO_OUTPUT)
        result.emplace_back(i, output);
    return result;
  }
  nb::dict properties() const {
    nb::dict result;
    for (size_t i = 0; const char *key = ds_model_property_key(model.c(), i); ++i)
      result[key] = ds_model_property(model.c(), key);
    return result;
  }
  std::string target() const {
    ds_model_summary summary;
    ds_model_describe(model.c(), &summary);
    return summary.cpu;
  }
  uint64_t weightBytes() const {
    ds_model_summary summary;
    ds_model_describe(model.c(), &summary);
    return summary.weight_bytes;
  }
  void verify() const {
    nb::gil_scoped_release unlocked;
    model.verify();
  }

  ds::Model model;
};

Input arrayOf(const nb::object &value, const std::string &what) {
  try {
    return nb::cast<Input>(value);
  } catch (const std::bad_cast &) {
    nb::object dtype = nb::getattr(value, "dtype", nb::type_name(value.type()));
    throw ds::Error(DS_BAD_INPUT, what + " is no array of numbers: given " + nb::str(dtype).c_str());
  }
}

/// DLPack's description of what nanobind hands over.
ds_tensor view(const Input &array, int32_t dtype, std::vector<int64_t> &shape, std::vector<int64_t> &strides) {
  for (size_t i = 0; i < array.ndim(); ++i) {
    shape.push_back(int64_t(array.shape(i)));
    strides.push_back(array.stride(i));
  }
  const auto type = array.dtype();
  DLTensor tensor = {const_cast<void *>(array.data()),
                     {DLDeviceType(array.device_type()), array.device_id()},
                     int32_t(array.ndim()),
                     {uint8_t(type.code), type.bits, type.lanes},
                     shape.data(),
                     strides.data(),
                     0};
  ds_tensor result;
  ds_error error;
  ds::check(ds_tensor_from_dlpack(&tensor, &result, &error), error);
  // NumPy has no bfloat16: its bits come as uint16.
  if (dtype == DS_BFLOAT16 && result.dtype == DS_UINT16)
    result.dtype = DS_BFLOAT16;
  // Nor types of a byte or less: their bytes come.
  if (dtype >= DS_INT2 && result.dtype == DS_UINT8)
    result.dtype = dtype;
  return result;
}

/// ds_types.def, by number.
struct ElementType {
  const char *name;
  uint8_t bytes, code, bits; // DLPack's; no bits: its bytes
};
constexpr ElementType elementTypes[] = {
    {"unknown", 0, 0, 0},
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, ...) {name, bytes, code, bits},
#include "ds_types.def"
#undef DS_ELEMENT_TYPE
};

/// NumPy has no bfloat16, whose bits go as uint16.
bool isOfNumpy(const ElementType &type) { return type.bits && type.code != kDLBfloat; }

nb::dlpack::dtype dlpackType(int32_t dtype) {
  const ElementType &type = elementTypes[dtype];
  return isOfNumpy(type) ? nb::dlpack::dtype{type.code, type.bits, 1}
                         : nb::dlpack::dtype{kDLUInt, uint8_t(8 * type.bytes), 1};
}

/// A copy, so that it may outlive the run.
Output copyOf(const ds_tensor &tensor) {
  std::vector<size_t> shape(tensor.shape, tensor.shape + tensor.rank);
  size_t bytes = ds_dtype_size(tensor.dtype);
  for (size_t dimension : shape)
    bytes *= dimension;
  void *data = std::malloc(bytes ? bytes : 1);
  if (!data)
    throw std::bad_alloc();
  nb::capsule owner(data, [](void *memory) noexcept { std::free(memory); });
  std::memcpy(data, tensor.data, bytes);
  return Output(data, shape.size(), shape.data(), owner, nullptr, dlpackType(tensor.dtype), nb::device::cpu::value);
}

nb::object textOf(const ds_string &text) {
  nb::object result = nb::steal(PyUnicode_DecodeUTF8(text.data, Py_ssize_t(text.size), "strict"));
  if (result)
    return result;
  PyErr_Clear();
  return nb::bytes(text.data, text.size);
}

/// Strings come and go as (list of str or bytes, shape); their bytes are those of Python's own objects.
struct Strings {
  explicit Strings(nb::handle given) : owner(nb::borrow<nb::tuple>(given)) {
    shape = nb::cast<std::vector<int64_t>>(owner[1]);
    for (nb::handle each : nb::borrow<nb::list>(owner[0])) {
      Py_ssize_t size = 0;
      const char *data = nullptr;
      if (PyBytes_Check(each.ptr())) {
        data = PyBytes_AS_STRING(each.ptr());
        size = PyBytes_GET_SIZE(each.ptr());
      } else {
        data = PyUnicode_AsUTF8AndSize(each.ptr(), &size);
      }
      if (!data)
        throw nb::python_error();
      texts.push_back({data, size_t(size)});
    }
  }
  ds_tensor tensor() { return {texts.data(), DS_STRING, int32_t(shape.size()), shape.data(), nullptr}; }

  nb::tuple owner;
  std::vector<int64_t> shape;
  std::vector<ds_string> texts;
};

nb::object stringsOf(const ds_tensor &tensor) {
  nb::list texts, shape;
  int64_t count = 1;
  for (int32_t d = 0; d < tensor.rank; ++d) {
    shape.append(tensor.shape[d]);
    count *= tensor.shape[d];
  }
  for (int64_t i = 0; i < count; ++i)
    texts.append(textOf(static_cast<const ds_string *>(tensor.data)[i]));
  return nb::make_tuple(texts, nb::tuple(shape));
}

/// A copy that may outlive the run.
nb::object valueOf(const ds_tensor &tensor) {
  return tensor.dtype == DS_STRING ? stringsOf(tensor) : nb::cast(copyOf(tensor));
}

nb::object Model::defaultOf(size_t input) const { return valueOf(model.inputDefault(input).c()); }

/// Attributes as Python has them; tensors as (array, name of the type).
nb::dict attributesOf(const ds_custom_node *node) {
  nb::dict result;
  for (size_t i = 0; const ds_attribute *a = ds_custom_attribute_at(node, i); ++i) {
    nb::list all;
    for (size_t j = 0; j < a->count; ++j)
      a->ints ? all.append(a->ints[j]) : a->floats ? all.append(a->floats[j]) : all.append(textOf(a->strings[j]));
    if (a->kind == DS_ATTRIBUTE_TENSOR)
      result[a->name] = nb::make_tuple(copyOf(a->tensor), ds_dtype_name(a->tensor.dtype));
    else if (a->kind <= DS_ATTRIBUTE_STRING)
      result[a->name] = all[0];
    else
      result[a->name] = all;
  }
  return result;
}

/// An operator that is a Python function: from lists of inputs and expected outputs and a dictionary of attributes to
/// arrays in C order (_model.py). It is called once; its results wait until the session has memory for them.
struct PythonOp {
  std::string domain, name;
  nb::object function;
  std::vector<std::optional<Input>> made = {};
  std::vector<std::unique_ptr<Strings>> strings = {}; // in their places; they live until the operator's next node

  // What was thrown that is no error of the operator but ends the program, KeyboardInterrupt say: the caller's.
  nb::object ending = {};

  template <typename Function> static int32_t guarded(void *context, ds_error *error, Function function) {
    nb::gil_scoped_acquire locked; // what is thrown dies under it, too
    std::string message;
    ds_status status = DS_BAD_INPUT;
    try {
      function();
      return DS_OK;
    } catch (nb::python_error &thrown) {
      if (!thrown.matches(PyExc_Exception))
        static_cast<PythonOp *>(context)->ending = nb::borrow(thrown.value());
      message = std::string(nb::str(thrown.type().attr("__name__")).c_str()) + ": " + nb::str(thrown.value()).c_str();
    } catch (const std::bad_alloc &) {
      status = DS_OUT_OF_MEMORY;
      message = "out of memory";
    } catch (const std::exception &thrown) {
      message = thrown.what();
    }
    std::snprintf(error->message, sizeof error->message, "%s", message.c_str());
    return status;
  }

  static int32_t infer(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t inputCount,
                       ds_custom_output *outputs, size_t outputCount, ds_error *error) {
    return guarded(context, error, [&] {
      PythonOp &op = *static_cast<PythonOp *>(context);
      nb::list given, wanted;
      for (size_t i = 0; i < inputCount; ++i)
        if (inputs[i].dtype)
          given.append(nb::make_tuple(valueOf(inputs[i]), ds_dtype_name(inputs[i].dtype)));
        else
          given.append(nb::none());
      for (size_t i = 0; i < outputCount; ++i)
        if (outputs[i].dtype)
          wanted.append(nb::make_tuple(ds_dtype_name(outputs[i].dtype), outputs[i].rank));
        else
          wanted.append(nb::none());
      auto results = nb::cast<std::vector<nb::object>>(op.function(given, attributesOf(node), wanted));
      op.made.assign(outputCount, std::nullopt);
      op.strings.clear();
      op.strings.resize(outputCount);
      for (size_t i = 0; i < outputCount; ++i) {
        if (outputs[i].dtype == DS_STRING)
          op.strings[i] = std::make_unique<Strings>(results.at(i));
        else if (outputs[i].dtype)
          op.made[i] = arrayOf(results.at(i), "result " + std::to_string(i));
        for (int32_t d = 0; d < outputs[i].rank; ++d)
          outputs[i].shape[d] =
              op.strings[i] ? op.strings[i]->shape.at(size_t(d)) : int64_t(op.made[i].value().shape(size_t(d)));
      }
    });
  }
  static int32_t run(void *context, ds_custom_node *, const ds_tensor *, size_t, const ds_tensor *outputs,
                     size_t outputCount, ds_error *error) {
    return guarded(context, error, [&] {
      PythonOp &op = *static_cast<PythonOp *>(context);
      std::vector<std::optional<Input>> made;
      made.swap(op.made);
      for (size_t i = 0; i < outputCount; ++i)
        if (outputs[i].dtype == DS_STRING)
          std::copy(op.strings.at(i)->texts.begin(), op.strings[i]->texts.end(),
                    static_cast<ds_string *>(outputs[i].data));
        else if (outputs[i].dtype)
          std::memcpy(outputs[i].data, made.at(i).value().data(), made[i]->nbytes());
    });
  }
};

class Session {
public:
  Session(const Model &model, uint32_t threads,
          const std::vector<std::tuple<std::string, std::string, nb::object>> &ops)
      : operators(wrap(ops)), session([&] {
          nb::gil_scoped_release unlocked;
          ds_session_options options = {};
          options.threads = threads;
          std::vector<ds_custom_op> all;
          for (const std::unique_ptr<PythonOp> &op : operators)
            all.push_back({op->domain.c_str(), op->name.c_str(), op.get(), PythonOp::infer, PythonOp::run});
          options.custom_ops = all.data();
          options.custom_op_count = all.size();
          return ds::Session(model.model, options);
        }()),
        model(model.model), feeds(this->model.outputCount()), donations(model.donations()),
        generator(ds_model_generator(this->model.c())) {}

  // For the garbage collector: a function may know the model that it belongs to.
  static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self))
      for (const std::unique_ptr<PythonOp> &op : nb::inst_ptr<Session>(self)->operators)
        Py_VISIT(op->function.ptr());
    return 0;
  }
  static int clear(PyObject *self) {
    if (nb::inst_ready(self))
      for (const std::unique_ptr<PythonOp> &op : nb::inst_ptr<Session>(self)->operators)
        op->function.reset();
    return 0;
  }

  /// One entry an input; None where the session has it (fed, or its state) or where it is optional. What a donated
  /// input is given becomes the state. With `keepsState` outputs that are the state are None; otherwise the state
  /// leaves with them, and an optional one begins with its default each time; but the generator of random numbers
  /// stays.
  std::vector<nb::object> run(const std::vector<nb::object> &values, bool keepsState) {
    std::vector<std::vector<int64_t>> shapes(values.size()), strides(values.size());
    std::vector<ds_tensor> inputs(values.size()), outputs(model.outputCount());
    std::vector<std::unique_ptr<Strings>> strings;
    std::vector<Input> arrays;
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i].is_none())
        continue;
      if (nb::isinstance<nb::tuple>(values[i])) {
        strings.push_back(std::make_unique<Strings>(values[i]));
        inputs[i] = strings.back()->tensor();
        continue;
      }
      arrays.push_back(
          arrayOf(values[i], i < model.inputCount() ? "input '" + std::string(model.input(i).name) + "'" : "an input"));
      inputs[i] = view(arrays.back(), i < model.inputCount() ? model.input(i).dtype : 0, shapes[i], strides[i]);
    }
    for (auto [input, output] : donations)
      if (input < inputs.size() && !keepsState && input != generator && !inputs[input].dtype)
        ds_model_input_default(model.c(), input, &inputs[input]);
    for (auto [input, output] : donations)
      if (input < inputs.size() && (inputs[input].dtype || inputs[input].data)) {
        nb::gil_scoped_release unlocked;
        ds_error error;
        ds::check(ds_session_state_set(session.c(), input, &inputs[input], &error), error);
        inputs[input] = {};
      }
    ds_error error;
    ds_status status;
    {
      nb::gil_scoped_release unlocked;
      status = ds_session_run(session.c(), inputs.data(), inputs.size(), outputs.data(), outputs.size(), &error);
    }
    for (const std::unique_ptr<PythonOp> &op : operators)
      if (nb::object ending = std::exchange(op->ending, nb::object()); ending.is_valid()) {
        PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(ending.ptr())), ending.ptr());
        throw nb::python_error();
      }
    ds::check(status, error);
    std::vector<nb::object> results;
    std::vector<bool> isState(outputs.size());
    for (auto [input, output] : donations)
      isState[output] = keepsState || input == generator;
    for (size_t i = 0; i < outputs.size(); ++i)
      results.push_back(isState[i]                      ? nb::none()
                        : outputs[i].dtype == DS_STRING ? stringsOf(outputs[i])
                                                        : nb::cast(take(i, outputs[i])));
    return results;
  }
  void seed(int64_t value) { session.seed(value); }
  void feed(size_t output, size_t input) {
    ds_error error;
    ds::check(ds_session_feed(session.c(), output, input, &error), error);
    feeds[output] = true;
  }
  void setSymbol(const std::string &name, int64_t value) { session.setSymbol(name, value); }
  void setState(size_t input, const Input &array) {
    std::vector<int64_t> shape, strides;
    const ds_tensor tensor = view(array, input < model.inputCount() ? model.input(input).dtype : 0, shape, strides);
    ds_error error;
    nb::gil_scoped_release unlocked;
    ds::check(ds_session_state_set(session.c(), input, &tensor, &error), error);
  }
  void createState(size_t input, const std::optional<std::vector<int64_t>> &shape) {
    if (shape && input < model.inputCount() && shape->size() != size_t(model.input(input).rank))
      throw ds::Error(DS_BAD_INPUT, "the state has " + std::to_string(model.input(input).rank) + " dimensions, given " +
                                        std::to_string(shape->size()));
    ds_error error;
    ds::check(ds_session_state_create(session.c(), input, shape ? shape->data() : nullptr, &error), error);
  }
  Output state(size_t input) const {
    ds_tensor tensor;
    ds_error error;
    ds::check(ds_session_state_get(session.c(), input, &tensor, &error), error);
    return copyOf(tensor);
  }
  void resetState(size_t input) {
    ds_error error;
    ds::check(ds_session_state_reset(session.c(), input, &error), error);
  }
  uint32_t threads() const { return session.threads(); }
  uint64_t memory() const { return session.memory(); }
  ds_session *c() { return session.c(); }

private:
  Output take(size_t index, const ds_tensor &tensor) {
    std::vector<size_t> shape(tensor.shape, tensor.shape + tensor.rank);
    size_t bytes = ds_dtype_size(tensor.dtype);
    for (size_t dimension : shape)
      bytes *= dimension;
    if (bytes <= smallOutput || feeds[index]) // what feeds the next run stays the session's
      return copyOf(tensor);
    DLManagedTensorVersioned *given = session.detach(index);
    void *data = given->dl_tensor.data;
    nb::capsule owner(given, [](void *memory) noexcept {
      auto *tensor = static_cast<DLManagedTensorVersioned *>(memory);
      tensor->deleter(tensor);
    });
    return Output(data, shape.size(), shape.data(), owner, nullptr, dlpackType(tensor.dtype), nb::device::cpu::value);
  }

  static std::vector<std::unique_ptr<PythonOp>>
  wrap(const std::vector<std::tuple<std::string, std::string, nb::object>> &ops) {
    std::vector<std::unique_ptr<PythonOp>> result;
    for (const auto &[domain, name, function] : ops)
      result.push_back(std::make_unique<PythonOp>(PythonOp{domain, name, function}));
    return result;
  }

  std::vector<std::unique_ptr<PythonOp>> operators; // outlive the session
  ds::Session session;
  ds::Model model;
  std::vector<bool> feeds; // outputs that feed an input
  std::vector<std::pair<size_t, size_t>> donations;
  size_t generator; // the input
};

/// What a training step says of itself, and what the programs that train share with Trainer (_training.py).
class TrainStep {
public:
  explicit TrainStep(const Model &model) : model(model.model) {
    ds_error error;
    ds::check(step.read(this->model.c(), &error), error);
  }
  std::string inputRoles() const { return step.InputRoles; }
  std::string outputRoles() const { return step.OutputRoles; }
  bool needsTotal() const { return step.Rates.needsTotal(); }
  double baseRate() const { return step.BaseRate; }
  double rate(double base, uint64_t number, uint64_t total) const { return step.Rates.rate(base, number, total); }
  void initialize(Session &session, uint64_t seed) const {
    ds_error error;
    nb::gil_scoped_release unlocked;
    ds::check(ds::runtime::initializeStates(step, session.c(), seed, &error), error);
  }
  void checkExport() const {
    ds_error error;
    ds::check(ds::runtime::checkExport(step, &error), error);
  }
  void write(Session &session, const std::string &path) const {
    ds_error error;
    nb::gil_scoped_release unlocked;
    ds::check(ds::runtime::writeOnnx(path.c_str(), step, session.c(), &error), error);
  }

private:
  ds::Model model;
  ds::runtime::TrainStep step;
};

} // namespace

NB_MODULE(_runtime, m) {
  m.doc() = "Runs compiled models. Needs nothing of the compiler.";
  m.attr("__version__") = DS_RUNTIME_VERSION;
  nb::list types; // name, bytes, whether NumPy has it
  for (const ElementType &type : elementTypes)
    if (type.bytes)
      types.append(nb::make_tuple(type.name, type.bytes, isOfNumpy(type)));
  m.attr("ELEMENT_TYPES") = types;

  // Made here, so that both modules and __init__.py share it.
  static nb::handle failure = nb::object(nb::module_::import_("deepseek._errors").attr("Error")).release();
  nb::register_exception_translator([](const std::exception_ptr &thrown, void *) {
    try {
      std::rethrow_exception(thrown);
    } catch (const ds::Error &error) {
      nb::object exception = failure(error.what(), int(error.status()));
      PyErr_SetObject(failure.ptr(), exception.ptr());
    }
  });

  nb::class_<TensorInfo>(m, "TensorInfo", "The name, element type and dimensions of an input or output.")
      .def_ro("name", &TensorInfo::name)
      .def_ro("dtype", &TensorInfo::dtype,
              "NumPy's name of the type; also \"bfloat16\" and ml_dtypes' names of smaller ones")
      .def_ro("optional", &TensorInfo::isOptional,
              "Whether a call may leave it out: it is an initializer of the model, too, which then is its value")
      .def_ro("device", &TensorInfo::device,
              "Where the model wants it, or makes it, as __dlpack_device__ says it: (1, 0) is the host's memory")
      .def_prop_ro(
          "shape",
          [](const TensorInfo &self) {
            nb::list shape;
            for (const auto &[size, text] : self.dimensions)
              if (size >= 0)
                shape.append(size);
              else
                shape.append(text);
            return nb::tuple(shape);
          },
          "A number for each known dimension, an expression over the model's symbols for each other")
      .def("__repr__", [](const TensorInfo &self) {
        std::string text = self.name + ": " + self.dtype + "[";
        for (size_t i = 0; i < self.dimensions.size(); ++i)
          text += (i ? ", " : "") + self.dimensions[i].second;
        return text + (self.isOptional ? "] = default" : "]");
      });
  nb::class_<Model>(m, "Model")
      .def(nb::init<const std::string &>(), nb::arg("path"))
      .def(nb::init<nb::bytes>(), nb::arg("data"))
      .def_prop_ro("inputs", &Model::inputs)
      .def_prop_ro("outputs", &Model::outputs)
      .def_prop_ro("donations", &Model::donations)
      .def_prop_ro("fixed_inputs", &Model::fixedInputs)
      .def("default_of", &Model::defaultOf, nb::arg("input"))
      .def_prop_ro("properties", &Model::properties)
      .def_prop_ro("target", &Model::target)
      .def_prop_ro("weight_bytes", &Model::weightBytes)
      .def("verify", &Model::verify);
  PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void *>(Session::traverse)},
                         {Py_tp_clear, reinterpret_cast<void *>(Session::clear)},
                         {0, nullptr}};
  nb::class_<Session>(m, "Session", nb::type_slots(slots))
      .def(nb::init<const Model &, uint32_t, const std::vector<std::tuple<std::string, std::string, nb::object>> &>(),
           nb::arg("model"), nb::arg("threads"), nb::arg("operators"))
      .def("run", &Session::run, nb::arg("inputs"), nb::arg("keeps_state"))
      .def("seed", &Session::seed, nb::arg("value"))
      .def("set_symbol", &Session::setSymbol, nb::arg("name"), nb::arg("value"))
      .def("set_state", &Session::setState, nb::arg("input"), nb::arg("value"))
      .def("create_state", &Session::createState, nb::arg("input"), nb::arg("shape").none())
      .def("state", &Session::state, nb::arg("input"))
      .def("reset_state", &Session::resetState, nb::arg("input"))
      .def("feed", &Session::feed, nb::arg("output"), nb::arg("input"))
      .def_prop_ro("threads", &Session::threads)
      .def_prop_ro("memory", &Session::memory);
  nb::class_<TrainStep>(m, "TrainStep")
      .def(nb::init<const Model &>(), nb::arg("model"))
      .def_prop_ro("input_roles", &TrainStep::inputRoles)
      .def_prop_ro("output_roles", &TrainStep::outputRoles)
      .def_prop_ro("needs_total", &TrainStep::needsTotal)
      .def_prop_ro("base_rate", &TrainStep::baseRate)
      .def("rate", &TrainStep::rate, nb::arg("base"), nb::arg("step"), nb::arg("total"))
      .def("initialize", &TrainStep::initialize, nb::arg("session"), nb::arg("seed"))
      .def("check_export", &TrainStep::checkExport)
      .def("export", &TrainStep::write, nb::arg("session"), nb::arg("path"));
}
