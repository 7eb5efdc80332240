//===- Metadata.cpp - Checks an artifact's metadata -----------------------===//
// Assumes: nothing about the bytes.
// Guarantees: no read outside them, whatever they are.
// Declines: repairing anything.
//===----------------------------------------------------------------------===//
#include "Metadata.h"
#include "ds_hash.h"
#include "ds_kernel.h"
#include <stddef.h>

namespace ds::runtime {

// Enough for a million size expressions, little enough that a damaged count costs no memory.
static constexpr uint64_t MaxValues = 1u << 20;
// A page, so that the weights can be mapped; and more names than any model has.
static constexpr uint64_t WeightsFileAlignment = 4096, MaxWeightsHeader = 256u << 20;
static constexpr uint64_t MaxCode = uint64_t(1) << 32;

size_t dtypeSize(uint32_t Dtype) { return Dtype < ElementTypeCount ? ElementTypes[Dtype].Bytes : 0; }

ds_status Metadata::parse(const void *Data, size_t Size, ds_error *Error, bool IsBody) {
  *this = Metadata();
  const unsigned char *Bytes = static_cast<const unsigned char *>(Data);
  ds_artifact_header Header;
  if (Size < sizeof Header)
    return fail(Error, DS_BAD_ARTIFACT, "metadata has %zu bytes, fewer than its header", Size);
  memcpy(&Header, Bytes, sizeof Header);
  if (memcmp(Header.magic, DS_ARTIFACT_MAGIC, sizeof Header.magic))
    return fail(Error, DS_BAD_ARTIFACT, "metadata does not begin with the magic bytes of this format");
  if (Header.version != DS_ARTIFACT_VERSION)
    return fail(Error, DS_BAD_ARTIFACT,
                "artifact has format version %u, this runtime reads version %u; compile the model again%s",
                Header.version, unsigned(DS_ARTIFACT_VERSION),
                Header.version > DS_ARTIFACT_VERSION ? ", or run it with the runtime that came with its compiler" : "");
  if (Header.length > Size || Header.length < sizeof Header || Header.length % 8)
    return fail(Error, DS_BAD_ARTIFACT, "metadata says it has %llu bytes, but %zu are there",
                static_cast<unsigned long long>(Header.length), Size);
  ds_hash Hash;
  const uint64_t Zero = 0;
  const size_t HashAt = offsetof(ds_artifact_header, hash);
  ds_hash_start(&Hash);
  ds_hash_add(&Hash, Bytes, HashAt);
  ds_hash_add(&Hash, &Zero, sizeof Zero);
  ds_hash_add(&Hash, Bytes + HashAt + sizeof Zero, Header.length - HashAt - sizeof Zero);
  if (ds_hash_finish(&Hash) != Header.hash)
    return fail(Error, DS_BAD_ARTIFACT, "metadata is damaged (its checksum does not match)");
  Length = Header.length;
  if (ds_status Status = findTables(Bytes, Header, Error))
    return Status;
  if (const char *Problem = problem(IsBody))
    return fail(Error, DS_BAD_ARTIFACT, "metadata is inconsistent: %s", Problem);
  return DS_OK;
}

ds_status Metadata::findTables(const unsigned char *Bytes, const ds_artifact_header &Header, ds_error *Error) {
  if (Header.table_count > (Header.length - sizeof Header) / sizeof(ds_artifact_table))
    return fail(Error, DS_BAD_ARTIFACT, "metadata has no room for its %u tables", Header.table_count);
  const uint64_t TablesEnd = sizeof Header + Header.table_count * sizeof(ds_artifact_table);
  uint64_t Seen = 0;
  Table<ds_artifact_program> Programs;
  for (uint32_t I = 0; I < Header.table_count; ++I) {
    ds_artifact_table T;
    memcpy(&T, Bytes + sizeof Header + I * sizeof T, sizeof T);
    uint64_t Length;
    if (T.entry_size == 0 || __builtin_mul_overflow(T.count, T.entry_size, &Length) || T.offset % 8 ||
        T.offset < TablesEnd || T.offset > Header.length || Length > Header.length - T.offset)
      return fail(Error, DS_BAD_ARTIFACT, "metadata table %u lies outside the metadata", I);
    if (const uint32_t Kind = T.kind & ~DS_TABLE_REQUIRED; Kind < 64) {
      if (Seen >> Kind & 1)
        return fail(Error, DS_BAD_ARTIFACT, "metadata has table kind %u twice", Kind);
      Seen |= uint64_t(1) << Kind;
    }
    bool Fits = true;
    auto Take = [&](auto &Out, auto *Entry) {
      Fits = T.entry_size >= sizeof *Entry && T.entry_size % 8 == 0;
      if (Fits)
        Out = {Bytes + T.offset, T.entry_size, T.count};
    };
    switch (T.kind) {
    case DS_TABLE_STRINGS:
      Fits = T.entry_size == 1;
      Strings = reinterpret_cast<const char *>(Bytes + T.offset);
      StringBytes = T.count;
      break;
    case DS_TABLE_PROGRAM:
      Take(Programs, static_cast<ds_artifact_program *>(nullptr));
      break;
    case DS_TABLE_FEATURES:
      Take(Features, static_cast<ds_artifact_text *>(nullptr));
      break;
    case DS_TABLE_SYMBOLS:
      Take(Symbols, static_cast<ds_artifact_symbol *>(nullptr));
      break;
    case DS_TABLE_BOUND:
      Take(Bound, static_cast<ds_artifact_bound *>(nullptr));
      break;
    case DS_TABLE_STAGES:
      Take(Stages, static_cast<ds_artifact_stage *>(nullptr));
      break;
    case DS_TABLE_DIMENSIONS:
      Take(Dimensions, static_cast<ds_artifact_dimension *>(nullptr));
      break;
    case DS_TABLE_INPUTS:
      Take(Inputs, static_cast<ds_artifact_tensor *>(nullptr));
      break;
    case DS_TABLE_OUTPUTS:
      Take(Outputs, static_cast<ds_artifact_tensor *>(nullptr));
      break;
    case DS_TABLE_CONSTRAINTS:
      Take(Constraints, static_cast<ds_artifact_text *>(nullptr));
      break;
    case DS_TABLE_BUFFERS:
      Take(Buffers, static_cast<ds_artifact_buffer *>(nullptr));
      break;
    case DS_TABLE_KERNELS:
      Take(Kernels, static_cast<ds_artifact_kernel *>(nullptr));
      break;
    case DS_TABLE_LAUNCHES:
      Take(Launches, static_cast<ds_artifact_launch *>(nullptr));
      break;
    case DS_TABLE_CALLS:
      Take(Calls, static_cast<ds_artifact_call *>(nullptr));
      break;
    case DS_TABLE_OPERANDS:
      Take(Operands, static_cast<ds_artifact_operand *>(nullptr));
      break;
    case DS_TABLE_ARGUMENTS:
      Take(Arguments, static_cast<ds_artifact_number *>(nullptr));
      break;
    case DS_TABLE_BODIES:
      Take(Bodies, static_cast<ds_artifact_body *>(nullptr));
      break;
    case DS_TABLE_VERSIONS:
      Take(Versions, static_cast<ds_artifact_version *>(nullptr));
      break;
    case DS_TABLE_GUARDS:
      Take(Guards, static_cast<ds_artifact_guard *>(nullptr));
      break;
    case DS_TABLE_BODY_BYTES:
      Fits = T.entry_size == 1;
      BodyBytes = Bytes + T.offset;
      BodyLength = T.count;
      break;
    case DS_TABLE_ATTRIBUTES:
      Take(Attributes, static_cast<ds_artifact_attribute *>(nullptr));
      break;
    case DS_TABLE_ATTRIBUTE_BYTES:
      Fits = T.entry_size == 1;
      AttributeBytes = Bytes + T.offset;
      AttributeLength = T.count;
      break;
    case DS_TABLE_PROPERTIES:
      Take(Properties, static_cast<ds_artifact_property *>(nullptr));
      break;
    case DS_TABLE_WEIGHTS_FILE:
      Take(WeightsFiles, static_cast<ds_artifact_weights_file *>(nullptr));
      break;
    case DS_TABLE_CODE:
      Take(Codes, static_cast<ds_artifact_code *>(nullptr));
      break;
    case DS_TABLE_DONATIONS:
      Take(Donations, static_cast<ds_artifact_donation *>(nullptr));
      break;
    case DS_TABLE_DEFAULTS:
      Take(Defaults, static_cast<ds_artifact_default *>(nullptr));
      break;
    case DS_TABLE_FIXED_INPUTS:
      Take(FixedInputs, static_cast<ds_artifact_text *>(nullptr));
      break;
    case DS_TABLE_DEVICES:
      Take(Devices, static_cast<ds_artifact_device *>(nullptr));
      break;
    case DS_TABLE_DEVICE_CODE:
      Take(DeviceCodes, static_cast<ds_artifact_device_code *>(nullptr));
      break;
    case DS_TABLE_DEVICE_BYTES:
      Fits = T.entry_size == 1;
      DeviceLength = T.count;
      break;
    case DS_TABLE_EXPORT:
      Fits = T.entry_size == 1;
      ExportBytes = Bytes + T.offset;
      ExportLength = T.count;
      break;
    case DS_TABLE_COLLECTIVES:
      Take(Collectives, static_cast<ds_artifact_collective *>(nullptr));
      break;
    default:
      if (T.kind & DS_TABLE_REQUIRED)
        return fail(Error, DS_UNSUPPORTED,
                    "the artifact needs what its table of kind %u says, which this runtime does not know; take a newer "
                    "runtime",
                    T.kind & ~DS_TABLE_REQUIRED);
      break;
    }
    if (!Fits)
      return fail(Error, DS_BAD_ARTIFACT, "entries of metadata table kind %u have %u bytes, which cannot be", T.kind,
                  T.entry_size);
  }
  if (Programs.size() != 1)
    return fail(Error, DS_BAD_ARTIFACT, "metadata does not describe exactly one program");
  Program = &Programs[0];
  return DS_OK;
}

bool Metadata::isText(ds_artifact_text T) const {
  return T.offset < StringBytes && T.length < StringBytes - T.offset && Strings[T.offset + T.length] == 0 &&
         !memchr(Strings + T.offset, 0, T.length);
}

bool Metadata::isNumber(const ds_artifact_number &N) const {
  switch (N.kind) {
  case DS_NUMBER_CONSTANT:
    return N.value >= 0;
  case DS_NUMBER_VALUE:
    return N.value >= 0 && uint64_t(N.value) < Program->value_count;
  case DS_NUMBER_SYMBOL:
    return N.value >= 0 && uint64_t(N.value) < symbolCount();
  case DS_NUMBER_NONE:
    return true;
  default:
    return false;
  }
}

bool Metadata::isKnown(const ds_artifact_number &N, size_t Stage) const {
  if (N.kind == DS_NUMBER_VALUE)
    return uint64_t(N.value) < Stages[Stage].value_count;
  return N.kind != DS_NUMBER_SYMBOL || uint64_t(N.value) < Stages[Stage].symbol_count;
}

size_t Metadata::stageOf(uint64_t Launch) const {
  size_t Stage = Stages.size() - 1;
  while (Stage && Stages[Stage].first_launch > Launch)
    --Stage;
  return Stage;
}

const char *Metadata::stageProblem() const {
  if (Stages.size() == 0)
    return "a program without stages";
  for (size_t I = 0; I < Stages.size(); ++I) {
    const ds_artifact_stage &S = Stages[I];
    if (I == 0 ? S.first_launch != 0 || S.symbol_count != Symbols.size()
               : S.first_launch < Stages[I - 1].first_launch || S.symbol_count < Stages[I - 1].symbol_count ||
                     S.value_count < Stages[I - 1].value_count)
      return "the order of the stages";
    if (S.first_launch > Launches.size() || S.symbol_count > symbolCount() || S.value_count > Program->value_count)
      return "the extent of a stage";
    if (!isNumber(S.scratch) || !isKnown(S.scratch, I))
      return "the size of the scratch memory";
  }
  const ds_artifact_stage &Last = Stages[Stages.size() - 1];
  if (Last.symbol_count != symbolCount() || Last.value_count != Program->value_count)
    return "symbols or values that no stage knows";
  // Numbers of launches and temporaries must be known when they are needed.
  for (size_t I = 0; I < Launches.size(); ++I)
    if (!isKnown(Launches[I].flops, stageOf(I)) || !isKnown(Launches[I].bytes, stageOf(I)))
      return "a launch before its sizes are known";
  for (size_t I = 0; I < Buffers.size(); ++I)
    if (Buffers[I].kind == DS_BUFFER_TEMPORARY && !isKnown(Buffers[I].size, stageOf(Buffers[I].first_launch)))
      return "a temporary before its size is known";
  for (size_t I = 0; I < Inputs.size(); ++I)
    for (uint32_t D = 0; D < Inputs[I].rank; ++D)
      if (!isKnown(Dimensions[Inputs[I].first_dimension + D].size, 0))
        return "an input dimension that is not known on entry";
  for (size_t I = 0; I < Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Buffers[I];
    if (B.kind != DS_BUFFER_OUTPUT)
      continue;
    for (uint32_t D = 0; D < Outputs[B.index].rank; ++D)
      if (!isKnown(Dimensions[Outputs[B.index].first_dimension + D].size, stageOf(B.first_launch)))
        return "an output before its size is known";
  }
  if (const char *Problem = callProblem())
    return Problem;
  return boundProblem();
}

/// Bound symbols lie within buffers of constant size that were written before.
const char *Metadata::boundProblem() const {
  for (size_t I = 0; I < Bound.size(); ++I) {
    const ds_artifact_bound &S = Bound[I];
    if (!isText(S.name) || !isText(S.source))
      return "the name of a bound symbol";
    size_t Stage = 0;
    while (Stages[Stage].symbol_count <= Symbols.size() + I)
      ++Stage;
    if (S.dtype == 0) {
      bool Found = false;
      for (size_t C = 0; C < Calls.size(); ++C)
        Found |= Calls[C].stage < Stage && S.buffer >= Calls[C].first_operand + Calls[C].input_count &&
                 S.buffer < Calls[C].first_operand + Calls[C].input_count + Calls[C].output_count;
      if (!Found || S.element >= Operands[S.buffer].rank)
        return "a bound symbol that no call makes";
      continue;
    }
    if ((S.dtype != DS_INT32 && S.dtype != DS_INT64) || S.buffer >= Buffers.size())
      return "the buffer of a bound symbol";
    if (S.element >= constantElements(Buffers[S.buffer], Stage, S.dtype))
      return "a bound symbol outside its buffer";
  }
  return nullptr;
}

uint64_t Metadata::constantElements(const ds_artifact_buffer &B, size_t Stage, uint32_t Dtype) const {
  auto Count = [&](uint32_t Type, uint32_t Rank, uint64_t First) {
    uint64_t Size = Type == Dtype;
    for (uint32_t D = 0; D < Rank; ++D) {
      const ds_artifact_number &N = Dimensions[First + D].size;
      if (N.kind != DS_NUMBER_CONSTANT || __builtin_mul_overflow(Size, uint64_t(N.value), &Size))
        return uint64_t(0);
    }
    return Size;
  };
  auto CountTensor = [&](const ds_artifact_tensor &T) { return Count(T.dtype, T.rank, T.first_dimension); };
  switch (B.kind) {
  case DS_BUFFER_INPUT:
    return CountTensor(Inputs[B.index]);
  case DS_BUFFER_OUTPUT:
    return stageOf(B.first_launch) < Stage ? CountTensor(Outputs[B.index]) : 0;
  case DS_BUFFER_WEIGHT:
    return B.length / dtypeSize(Dtype);
  case DS_BUFFER_RESULT:
    for (size_t I = 0; I < Calls.size(); ++I)
      for (uint32_t R = 0; Calls[I].stage < Stage && R < Calls[I].output_count; ++R) {
        const ds_artifact_operand &O = Operands[Calls[I].first_operand + Calls[I].input_count + R];
        if (!isAbsent(O) && &Buffers[O.buffer] == &B)
          return Count(O.dtype, O.rank, O.first_dimension);
      }
    return 0;
  default:
    return B.size.kind == DS_NUMBER_CONSTANT && stageOf(B.first_launch) < Stage
               ? uint64_t(B.size.value) / dtypeSize(Dtype)
               : 0;
  }
}

bool Metadata::isOperand(const ds_artifact_operand &O, size_t Stage) const {
  if (O.buffer >= Buffers.size() || !dtypeSize(O.dtype) || O.rank > DS_ARTIFACT_MAX_RANK ||
      O.first_dimension > Dimensions.size() || O.rank > Dimensions.size() - O.first_dimension)
    return false;
  for (uint32_t D = 0; D < O.rank; ++D)
    if (!isKnown(Dimensions[O.first_dimension + D].size, Stage))
      return false;
  return true;
}

/// Operands, and in what order the calls make them.
const char *Metadata::operandProblem() const {
  Array<unsigned char> Made;
  if (!Made.resize(Buffers.size()))
    return "more buffers than memory";
  for (size_t I = 0; I < Calls.size(); ++I) {
    const ds_artifact_call &C = Calls[I];
    const bool Loop = C.kind == DS_CALL_LOOP, Custom = C.kind == DS_CALL_CUSTOM;
    if ((!Loop && !Custom && C.kind != DS_CALL_BRANCH) || !isText(C.source))
      return "the kind of a call";
    if (uint64_t(C.stage) + 1 >= Stages.size() || (I && C.stage <= Calls[I - 1].stage))
      return "the stage of a call";
    const uint64_t Count = uint64_t(C.input_count) + C.output_count;
    if (C.first_operand > Operands.size() || Count > Operands.size() - C.first_operand || C.split > C.input_count ||
        (Loop && C.split > C.output_count))
      return "the operands of a call";
    for (uint64_t O = 0; O < Count; ++O) {
      const ds_artifact_operand &Operand = Operands[C.first_operand + O];
      const bool IsInput = O < C.input_count;
      if (Custom && isAbsent(Operand) && Operand.buffer == DS_ARTIFACT_NO_BUFFER && Operand.rank == 0)
        continue;
      if (!isOperand(Operand, C.stage + !IsInput))
        return "an operand of a call";
      const ds_artifact_buffer &B = Buffers[Operand.buffer];
      if (Operand.dtype == DS_STRING && B.kind == DS_BUFFER_WEIGHT) // pointers, which no file can hold
        return "a weight that is strings";
      if (IsInput ? B.kind == DS_BUFFER_RESULT && !Made[Operand.buffer] : B.kind != DS_BUFFER_RESULT)
        return "the buffer of an operand of a call";
    }
    for (uint64_t O = C.input_count; O < Count; ++O)
      if (const ds_artifact_operand &Operand = Operands[C.first_operand + O]; !isAbsent(Operand))
        Made[Operand.buffer] = 1;
  }
  for (size_t I = 0; I < Buffers.size(); ++I)
    if (Buffers[I].kind == DS_BUFFER_RESULT && !Made[I])
      return "a buffer that no call makes";
  return nullptr;
}

/// Without what only the bodies tell.
const char *Metadata::callProblem() const {
  // All operands before any condition: what holds that may be a result of any call.
  if (const char *Problem = operandProblem())
    return Problem;
  for (size_t I = 0; I < Arguments.size(); ++I)
    if (!isNumber(Arguments[I]) || Arguments[I].kind == DS_NUMBER_NONE)
      return "a number that a call gives";
  if (const char *Problem = attributeProblem())
    return Problem;
  for (size_t I = 0; I < Calls.size(); ++I) {
    const ds_artifact_call &C = Calls[I];
    const bool Loop = C.kind == DS_CALL_LOOP;
    if (C.kind == DS_CALL_CUSTOM) {
      if (!isText(C.name) || !isText(C.domain))
        return "the name of a custom operator";
      if (C.first_attribute > Attributes.size() || C.attribute_count > Attributes.size() - C.first_attribute)
        return "the attributes of a custom operator";
      continue;
    }
    for (size_t B = 0; B < bodyCount(C); ++B) {
      if (C.first_argument[B] > Arguments.size() || C.argument_count[B] > Arguments.size() - C.first_argument[B])
        return "the numbers that a call gives";
      for (uint64_t A = 0; A < C.argument_count[B]; ++A)
        if (!isKnown(Arguments[C.first_argument[B] + A], C.stage))
          return "a number that a call gives before it is known";
    }
    auto Holds = [&](uint32_t Buffer, uint32_t Dtype) {
      return Buffer < Buffers.size() && constantElements(Buffers[Buffer], size_t(C.stage) + 1, Dtype) > 0;
    };
    if (!(Loop && C.condition == DS_ARTIFACT_NO_BUFFER) && !Holds(C.condition, DS_BOOL))
      return "the condition of a call";
    // The type first: no other has a size.
    if (Loop && C.trips != DS_ARTIFACT_NO_BUFFER &&
        ((C.trips_dtype != DS_INT32 && C.trips_dtype != DS_INT64) || !Holds(C.trips, C.trips_dtype)))
      return "the number of iterations of a loop";
  }
  return nullptr;
}

const char *Metadata::stringsProblem(uint64_t Offset, uint64_t Count) const {
  if (Offset % 8 || Offset > AttributeLength || Count > (AttributeLength - Offset) / sizeof(ds_artifact_bytes))
    return "strings outside the metadata";
  for (uint64_t S = 0; S < Count; ++S) {
    const ds_artifact_bytes &B = reinterpret_cast<const ds_artifact_bytes *>(AttributeBytes + Offset)[S];
    if (B.offset >= AttributeLength || B.length >= AttributeLength - B.offset ||
        AttributeBytes[B.offset + B.length] != 0)
      return "an attribute's string outside the metadata";
  }
  return nullptr;
}

/// What attributes say lies in the table of their bytes, elements of tensors in the weights.
const char *Metadata::attributeProblem() const {
  for (size_t I = 0; I < Attributes.size(); ++I) {
    const ds_artifact_attribute &A = Attributes[I];
    if (!isText(A.name))
      return "the name of an attribute";
    const bool Single = A.kind <= DS_ATTRIBUTE_STRING;
    if (A.kind < DS_ATTRIBUTE_INT || A.kind > DS_ATTRIBUTE_TENSOR || (Single && A.count != 1))
      return "the kind of an attribute";
    const bool Float = A.kind == DS_ATTRIBUTE_FLOAT || A.kind == DS_ATTRIBUTE_FLOATS,
               String = A.kind == DS_ATTRIBUTE_STRING || A.kind == DS_ATTRIBUTE_STRINGS;
    const uint64_t Size = Float ? sizeof(float) : String ? sizeof(ds_artifact_bytes) : sizeof(int64_t);
    if (A.offset % 8 || A.offset > AttributeLength || A.count > (AttributeLength - A.offset) / Size)
      return "an attribute outside the metadata";
    const unsigned char *Values = AttributeBytes + A.offset;
    if (const char *Problem = String ? stringsProblem(A.offset, A.count) : nullptr)
      return Problem;
    if (A.kind != DS_ATTRIBUTE_TENSOR)
      continue;
    // Strings are pointers, which no file can hold.
    uint64_t Length = A.dtype == DS_STRING ? 0 : dtypeSize(A.dtype);
    if (!Length || A.count > DS_ARTIFACT_MAX_RANK)
      return "the type of an attribute's tensor";
    for (uint64_t D = 0; D < A.count; ++D) {
      const int64_t Dimension = reinterpret_cast<const int64_t *>(Values)[D];
      if (Dimension < 0 || __builtin_mul_overflow(Length, uint64_t(Dimension), &Length))
        return "the shape of an attribute's tensor";
    }
    if (Length != A.weight_length || A.weight_offset % DS_ARTIFACT_WEIGHT_ALIGNMENT ||
        A.weight_offset > Program->weights_length || Length > Program->weights_length - A.weight_offset)
      return "an attribute's tensor outside the weights";
  }
  return nullptr;
}

const char *Metadata::tensorProblem(const Table<ds_artifact_tensor> &Tensors) const {
  for (size_t I = 0; I < Tensors.size(); ++I) {
    const ds_artifact_tensor &T = Tensors[I];
    if (!isText(T.name))
      return "the name of an input or output";
    if (!dtypeSize(T.dtype))
      return "the type of an input or output";
    if (T.rank > DS_ARTIFACT_MAX_RANK || T.first_dimension > Dimensions.size() ||
        T.rank > Dimensions.size() - T.first_dimension)
      return "the dimensions of an input or output";
    if (!isSpace(T.space))
      return "the memory space of an input or output";
  }
  return nullptr;
}

const char *Metadata::donationProblem() const {
  Array<unsigned char> Given, Taken;
  if (!Given.resize(Inputs.size()) || !Taken.resize(Outputs.size()))
    return "more inputs and outputs than memory";
  for (size_t I = 0; I < Donations.size(); ++I) {
    const ds_artifact_donation &D = Donations[I];
    if (D.input >= Inputs.size() || D.output >= Outputs.size())
      return "a donation of an input or output that does not exist";
    const ds_artifact_tensor &In = Inputs[D.input], &Out = Outputs[D.output];
    if (In.dtype != Out.dtype || In.rank != Out.rank || In.space != Out.space || D.in_place > DS_DONATION_UNCHANGED)
      return "a donation of an input to an output of another type";
    if (In.dtype == DS_STRING) // their bytes belong to the run
      return "a donation of strings";
    if (Given[D.input] || Taken[D.output])
      return "an input or output that is donated twice";
    Given[D.input] = Taken[D.output] = 1;
  }
  return nullptr;
}

/// Defaults are such tensors as their inputs take.
const char *Metadata::defaultProblem() const {
  Array<unsigned char> Has;
  if (!Has.resize(Inputs.size()))
    return "more inputs than memory";
  for (size_t I = 0; I < Defaults.size(); ++I) {
    const ds_artifact_default &D = Defaults[I];
    if (D.input >= Inputs.size())
      return "the default of an input that does not exist";
    if (Has[D.input])
      return "an input with two defaults";
    Has[D.input] = 1;
    const ds_artifact_tensor &T = Inputs[D.input];
    if (T.space != DS_SPACE_HOST)
      return "the default of an input on a device";
    if (D.first_dimension > Dimensions.size() || T.rank > Dimensions.size() - D.first_dimension)
      return "the dimensions of a default";
    const bool IsString = T.dtype == DS_STRING;
    uint64_t Length = IsString ? 1 : dtypeSize(T.dtype);
    for (uint32_t Dim = 0; Dim < T.rank; ++Dim) {
      const ds_artifact_number &Is = Dimensions[D.first_dimension + Dim].size,
                               &Wanted = Dimensions[T.first_dimension + Dim].size;
      if (Is.kind != DS_NUMBER_CONSTANT || __builtin_mul_overflow(Length, uint64_t(Is.value), &Length) ||
          (Wanted.kind == DS_NUMBER_CONSTANT && Wanted.value != Is.value))
        return "the dimensions of a default";
    }
    if (Length != D.length)
      return "a default of another size than its input";
    if (IsString) {
      if (const char *Problem = stringsProblem(D.offset, D.length))
        return Problem;
    } else if (D.offset % DS_ARTIFACT_WEIGHT_ALIGNMENT || D.offset > Program->weights_length ||
               Length > Program->weights_length - D.offset) {
      return "a default outside the weights";
    }
  }
  for (size_t I = 0; I < FixedInputs.size(); ++I)
    if (!isText(FixedInputs[I]))
      return "the name of an input";
  return nullptr;
}

/// Guards name what there is.
const char *Metadata::guardProblem() const {
  Array<unsigned char> Has;
  if (Guards.size() && !Has.resize(Inputs.size()))
    return "more inputs than memory";
  for (size_t I = 0; I < Defaults.size() && Guards.size(); ++I)
    Has[Defaults[I].input] = 1;
  for (size_t I = 0; I < Guards.size(); ++I) {
    const ds_artifact_guard &G = Guards[I];
    if (G.kind == DS_GUARD_SIZE ? G.subject >= Symbols.size() || G.size < 0
                                : G.kind != DS_GUARD_LEFT_OUT || G.subject >= Inputs.size() || !Has[G.subject])
      return "the guard of a version";
  }
  return nullptr;
}

const char *Metadata::deviceProblem() const {
  for (size_t I = 0; I < Devices.size(); ++I)
    if (!isText(Devices[I].target))
      return "the target of a device";
  for (size_t I = 0; I < DeviceCodes.size(); ++I) {
    const ds_artifact_device_code &C = DeviceCodes[I];
    if (C.device >= Devices.size() || C.offset % 8 || C.offset > DeviceLength || C.length > DeviceLength - C.offset)
      return "the code of a device";
  }
  for (size_t I = 0; I < Collectives.size(); ++I)
    if (Collectives[I].launch >= Launches.size() || !dtypeSize(Collectives[I].dtype) || !isText(Collectives[I].group))
      return "a collective";
  return nullptr;
}

void Metadata::describeNeeds(Text &Out) const {
  for (size_t I = 0; I < Devices.size(); ++I) {
    const ds_artifact_device &D = Devices[I];
    Out.append("%s", Out.empty() ? "" : ", ");
    if (D.type == DS_DEVICE_CUDA)
      Out.append("a CUDA device (%s)", text(D.target));
    else
      Out.append("a device of type %u (%s)", D.type, text(D.target));
  }
  if (Collectives.size())
    Out.append("%scommunication with other ranks", Out.empty() ? "" : ", ");
}

const char *Metadata::bufferProblem() const {
  Array<unsigned char> Written;
  if (!Written.resize(Outputs.size()))
    return "more outputs than memory";
  for (size_t I = 0; I < Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Buffers[I];
    if (!isSpace(B.space))
      return "the memory space of a buffer";
    if (B.dtype && !dtypeSize(B.dtype))
      return "the type of a buffer";
    switch (B.kind) {
    case DS_BUFFER_INPUT:
      if (B.index >= Inputs.size())
        return "a buffer of an input that does not exist";
      break;
    case DS_BUFFER_OUTPUT:
      if (B.index >= Outputs.size())
        return "a buffer of an output that does not exist";
      if (B.first_launch >= Launches.size() && !(B.first_launch == 0 && Launches.size() == 0))
        return "the launch that writes an output";
      Written[B.index] = 1;
      break;
    case DS_BUFFER_WEIGHT:
      if (B.offset % DS_ARTIFACT_WEIGHT_ALIGNMENT || B.offset > Program->weights_length ||
          B.length > Program->weights_length - B.offset)
        return "a weight outside the weights";
      break;
    case DS_BUFFER_TEMPORARY:
      if (!isNumber(B.size) || B.size.kind == DS_NUMBER_NONE)
        return "the size of a temporary";
      if (B.first_launch > B.last_launch || B.last_launch >= Launches.size())
        return "the lifetime of a temporary";
      break;
    case DS_BUFFER_RESULT:
      break;
    default:
      return "the kind of a buffer";
    }
  }
  for (unsigned char Is : Written)
    if (!Is)
      return "an output without a buffer";
  return nullptr;
}

const char *Metadata::problem(bool IsBody) const {
  const ds_artifact_program &P = *Program;
  if (!isText(P.triple) || !isText(P.cpu) || !isText(P.compiler))
    return "a text of the program";
  if (P.value_count > MaxValues)
    return "too many values";
  if (P.weights_length > uint64_t(INT64_MAX) / 2)
    return "the length of the weights";
  for (size_t I = 0; I < Features.size(); ++I)
    if (!isText(Features[I]))
      return "the name of a CPU feature";
  for (size_t I = 0; I < Constraints.size(); ++I)
    if (!isText(Constraints[I]))
      return "the text of a constraint";
  for (size_t I = 0; I < Dimensions.size(); ++I)
    if (!isText(Dimensions[I].text) || !isNumber(Dimensions[I].size) || Dimensions[I].size.kind == DS_NUMBER_NONE)
      return "a dimension";
  if (const char *Problem = tensorProblem(Inputs))
    return Problem;
  if (const char *Problem = tensorProblem(Outputs))
    return Problem;
  for (size_t I = 0; I < Symbols.size(); ++I) {
    const ds_artifact_symbol &S = Symbols[I];
    if (!isText(S.name) || !isText(S.display))
      return "the name of a symbol";
    if (S.input == DS_ARTIFACT_GIVEN)
      continue;
    if (S.input >= Inputs.size() || S.dimension >= Inputs[S.input].rank)
      return "a symbol of an input dimension that does not exist";
    const ds_artifact_number &N = Dimensions[Inputs[S.input].first_dimension + S.dimension].size;
    if (N.kind != DS_NUMBER_SYMBOL || uint64_t(N.value) != I)
      return "a symbol that its input dimension does not name";
  }
  for (size_t I = 0; I < Kernels.size(); ++I)
    if (!isText(Kernels[I].name) || !isText(Kernels[I].source))
      return "a text of a kernel";
  for (size_t I = 0; I < Launches.size(); ++I) {
    const ds_artifact_launch &L = Launches[I];
    if (L.kernel >= Kernels.size() || !isText(L.source) || !isNumber(L.flops) || !isNumber(L.bytes))
      return "a launch";
  }
  for (size_t I = 0; I < Properties.size(); ++I)
    if (!isText(Properties[I].key) || !isText(Properties[I].value))
      return "a property";
  if (IsBody && (Bodies.size() || Versions.size()))
    return "a body in a body";
  if (IsBody && Defaults.size())
    return "a body with defaults";
  for (size_t I = 0; I < Versions.size(); ++I)
    if (Versions[I].body >= Bodies.size() || Versions[I].first_guard > Guards.size() ||
        Versions[I].guard_count > Guards.size() - Versions[I].first_guard)
      return "a version";
  for (size_t I = 0; I < Bodies.size(); ++I)
    if (Bodies[I].offset % 8 || Bodies[I].offset > BodyLength || Bodies[I].length > BodyLength - Bodies[I].offset)
      return "a body outside the metadata";
  uint64_t Model = 0;
  if (ExportBytes && ExportLength >= sizeof Model)
    memcpy(&Model, ExportBytes, sizeof Model);
  if (ExportBytes && (ExportLength < sizeof Model || Model > ExportLength - sizeof Model))
    return "the model to export";
  if (Codes.size() > 1 || (Codes.size() == 1 && Codes[0].length > MaxCode))
    return "the length of the code";
  if (WeightsFiles.size() > 1)
    return "more than one file of weights";
  for (size_t I = 0; I < WeightsFiles.size(); ++I) {
    const ds_artifact_weights_file &F = WeightsFiles[I];
    if (!isText(F.name) || F.name.length == 0 || F.name.length > 255 || strchr(text(F.name), '/') ||
        *text(F.name) == '.')
      return "the name of the file of weights";
    if (F.offset == 0 || F.offset % WeightsFileAlignment || F.offset > MaxWeightsHeader)
      return "the offset in the file of weights";
  }
  if (const char *Problem = deviceProblem())
    return Problem;
  if (const char *Problem = bufferProblem())
    return Problem;
  if (const char *Problem = donationProblem())
    return Problem;
  if (const char *Problem = defaultProblem())
    return Problem;
  if (const char *Problem = guardProblem())
    return Problem;
  return stageProblem();
}

} // namespace ds::runtime
