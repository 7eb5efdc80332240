//===- ExportOnnx.cpp - The trained model as an ONNX file ------------------===//
// Assumes: Protocol Buffers' encoding, and the field numbers of onnx.proto.
// Guarantees: see Export.h.
//===----------------------------------------------------------------------===//
#include "../src/Tensor.h"
#include "AtomicFile.h"
#include "Export.h"
#include <errno.h>

namespace ds::runtime {

namespace {

// ModelProto, GraphProto, TensorProto; a tag is the field's number and how its value is written.
enum : uint8_t { Varint = 0, Bytes = 2 };
enum : uint8_t { ModelGraph = 7, GraphInitializer = 5, TensorDims = 1, TensorType = 2, TensorName = 8, TensorData = 9 };

// Readers refuse larger messages.
constexpr uint64_t MostBytes = (uint64_t(1) << 31) - 1;

/// TensorProto.DataType of each type of ds_types.def.
constexpr int OnnxTypes[] = {
    0,
#define DS_ELEMENT_TYPE(constant, number, name, bytes, code, bits, npy, safetensors, onnx, onnxNumber, ...) onnxNumber,
#include "ds_types.def"
#undef DS_ELEMENT_TYPE
};

/// The start of a message, up to where its large part comes.
class Message {
public:
  void varint(uint64_t Value) {
    for (; Value >= 0x80; Value >>= 7)
      byte(uint8_t(Value | 0x80));
    byte(uint8_t(Value));
  }
  void tag(uint8_t Field, uint8_t Kind) { byte(uint8_t(Field << 3 | Kind)); }
  void number(uint8_t Field, uint64_t Value) {
    tag(Field, Varint);
    varint(Value);
  }
  void text(uint8_t Field, const char *String) {
    tag(Field, Bytes);
    varint(strlen(String));
    for (; *String; ++String)
      byte(uint8_t(*String));
  }
  const uint8_t *data() const { return Buffer.data(); }
  size_t size() const { return Buffer.size(); }
  bool ok() const { return Ok; }
  void clear() { (void)Buffer.resize(0); }

private:
  Array<uint8_t> Buffer;
  bool Ok = true;

  void byte(uint8_t B) { Ok = Buffer.push(B) && Ok; }
};

/// An initializer but its data; the tag and size of the initializer itself are in `Outer`.
bool describe(const ds_tensor &T, const char *Name, uint64_t Size, Message &Outer, Message &Inner) {
  Outer.clear();
  Inner.clear();
  for (int32_t D = 0; D < T.rank; ++D)
    Inner.number(TensorDims, uint64_t(T.shape[D]));
  Inner.number(TensorType, uint64_t(OnnxTypes[T.dtype]));
  Inner.text(TensorName, Name);
  Inner.tag(TensorData, Bytes);
  Inner.varint(Size);
  Outer.tag(GraphInitializer, Bytes);
  Outer.varint(Inner.size() + Size);
  return Outer.ok() && Inner.ok();
}

bool isExported(const TrainStep &Step, size_t Input) {
  return Step.InputRoles[Input] == 'p' || Step.InputRoles[Input] == 'b';
}

} // namespace

ds_status checkExport(const TrainStep &Step, ds_error *Error) {
  ds_model_source Source;
  if (ds_model_export(Step.Model, &Source))
    return fail(Error, DS_UNSUPPORTED,
                "--export: the program was compiled without a model to export (its source was no ONNX file)");
  return DS_OK;
}

ds_status writeOnnx(const char *Path, const TrainStep &Step, const ds_session *Session, ds_error *Error) {
  ds_model_source Source;
  if (ds_status Status = checkExport(Step, Error))
    return Status;
  ds_model_export(Step.Model, &Source);
  Message Outer, Inner;
  uint64_t GraphSize = Source.graph_size;
  for (size_t I : Step.States) {
    ds_tensor T;
    int64_t Size;
    if (!isExported(Step, I))
      continue;
    if (ds_status Status = ds_session_state_get(Session, I, &T, Error))
      return Status;
    if (!denseBytes(T.shape, size_t(T.rank), ds_dtype_size(T.dtype), Size) ||
        !describe(T, Step.inputName(I), uint64_t(Size), Outer, Inner))
      return outOfMemory(Error);
    GraphSize += Outer.size() + Inner.size() + uint64_t(Size);
  }
  Message Start;
  Start.tag(ModelGraph, Bytes);
  Start.varint(GraphSize);
  if (const uint64_t Size = Source.model_size + Start.size() + GraphSize; Size > MostBytes)
    return fail(Error, DS_UNSUPPORTED,
                "--export: the model would have %llu bytes; ONNX files end at 2 GiB, take the parameters from a "
                "checkpoint",
                static_cast<unsigned long long>(Size));
  AtomicFile Out;
  bool Good = Out.create(Path) && Out.write(Source.model, Source.model_size) && Out.write(Start.data(), Start.size()) &&
              Out.write(Source.graph, Source.graph_size);
  for (size_t I : Step.States) {
    ds_tensor T;
    int64_t Size;
    if (!isExported(Step, I) || ds_session_state_get(Session, I, &T, nullptr))
      continue;
    denseBytes(T.shape, size_t(T.rank), ds_dtype_size(T.dtype), Size);
    if (!describe(T, Step.inputName(I), uint64_t(Size), Outer, Inner))
      return outOfMemory(Error);
    Good = Good && Out.write(Outer.data(), Outer.size()) && Out.write(Inner.data(), Inner.size()) &&
           Out.write(T.data, size_t(Size));
  }
  if (!Good || !Out.commit())
    return fail(Error, DS_IO_ERROR, "cannot write '%s': %s", Path, strerror(errno));
  return DS_OK;
}

} // namespace ds::runtime
