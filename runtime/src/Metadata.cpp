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

size_t dtypeSize(uint32_t Dtype) {
  static const unsigned char Sizes[] = {0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  return Dtype < sizeof Sizes ? Sizes[Dtype] : 0;
}

ds_status Metadata::parse(const void *Data, size_t Size, ds_error *Error) {
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
                "artifact has format version %u, this runtime reads version %u; compile the model again",
                Header.version, unsigned(DS_ARTIFACT_VERSION));
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
  if (ds_status Status = findTables(Bytes, Header, Error))
    return Status;
  if (const char *Problem = problem())
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
    if (T.kind < 64) {
      if (Seen >> T.kind & 1)
        return fail(Error, DS_BAD_ARTIFACT, "metadata has table kind %u twice", T.kind);
      Seen |= uint64_t(1) << T.kind;
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
    case DS_TABLE_PROPERTIES:
      Take(Properties, static_cast<ds_artifact_property *>(nullptr));
      break;
    case DS_TABLE_WEIGHTS_FILE:
      Take(WeightsFiles, static_cast<ds_artifact_weights_file *>(nullptr));
      break;
    case DS_TABLE_CODE:
      Take(Codes, static_cast<ds_artifact_code *>(nullptr));
      break;
    default:
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
  return boundProblem();
}

/// Bound symbols lie within buffers of constant size that were written before.
const char *Metadata::boundProblem() const {
  for (size_t I = 0; I < Bound.size(); ++I) {
    const ds_artifact_bound &S = Bound[I];
    if (!isText(S.name) || !isText(S.source))
      return "the name of a bound symbol";
    if ((S.dtype != DS_INT32 && S.dtype != DS_INT64) || S.buffer >= Buffers.size())
      return "the buffer of a bound symbol";
    size_t Stage = 0;
    while (Stages[Stage].symbol_count <= Symbols.size() + I)
      ++Stage;
    const ds_artifact_buffer &B = Buffers[S.buffer];
    uint64_t Elements = 0;
    auto Count = [&](const ds_artifact_tensor &T) {
      Elements = T.dtype == S.dtype;
      for (uint32_t D = 0; D < T.rank; ++D) {
        const ds_artifact_number &N = Dimensions[T.first_dimension + D].size;
        if (N.kind != DS_NUMBER_CONSTANT || __builtin_mul_overflow(Elements, uint64_t(N.value), &Elements))
          Elements = 0;
      }
    };
    switch (B.kind) {
    case DS_BUFFER_INPUT:
      Count(Inputs[B.index]);
      break;
    case DS_BUFFER_OUTPUT:
      if (stageOf(B.first_launch) < Stage)
        Count(Outputs[B.index]);
      break;
    case DS_BUFFER_WEIGHT:
      Elements = B.length / dtypeSize(S.dtype);
      break;
    default:
      if (B.size.kind == DS_NUMBER_CONSTANT && stageOf(B.first_launch) < Stage)
        Elements = uint64_t(B.size.value) / dtypeSize(S.dtype);
    }
    if (S.element >= Elements)
      return "a bound symbol outside its buffer";
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
  }
  return nullptr;
}

const char *Metadata::bufferProblem() const {
  Array<unsigned char> Written;
  if (!Written.resize(Outputs.size()))
    return "more outputs than memory";
  for (size_t I = 0; I < Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Buffers[I];
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
    default:
      return "the kind of a buffer";
    }
  }
  for (unsigned char Is : Written)
    if (!Is)
      return "an output without a buffer";
  return nullptr;
}

const char *Metadata::problem() const {
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
  if (const char *Problem = bufferProblem())
    return Problem;
  return stageProblem();
}

} // namespace ds::runtime
