//===- Metadata.h - Checked view of an artifact's metadata ------*- C++ -*-===//
// Assumes: nothing about the bytes.
// Guarantees: after `parse` succeeds every text, index, count and number in the tables can be used without a check.
// Declines: copying; it points into the bytes, which must outlive it and be 8-byte aligned.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_METADATA_H
#define DS_RUNTIME_METADATA_H

#include "Support.h"

namespace ds::runtime {

/// The entries of one table; their stride may exceed sizeof(T) where a later version wrote them.
template <typename T> class Table {
public:
  Table() = default;
  Table(const unsigned char *First, size_t Stride, size_t Count) : First(First), Stride(Stride), Count(Count) {}
  size_t size() const { return Count; }
  const T &operator[](size_t I) const { return *reinterpret_cast<const T *>(First + I * Stride); }

private:
  const unsigned char *First = nullptr;
  size_t Stride = 0, Count = 0;
};

struct Metadata {
  uint64_t Length = 0; // bytes; in an artifact the next variant's follow
  const ds_artifact_program *Program = nullptr;
  Table<ds_artifact_text> Features, Constraints;
  Table<ds_artifact_symbol> Symbols;
  Table<ds_artifact_bound> Bound;
  Table<ds_artifact_stage> Stages;
  Table<ds_artifact_dimension> Dimensions;
  Table<ds_artifact_tensor> Inputs, Outputs;
  Table<ds_artifact_buffer> Buffers;
  Table<ds_artifact_kernel> Kernels;
  Table<ds_artifact_launch> Launches;
  Table<ds_artifact_call> Calls;
  Table<ds_artifact_operand> Operands;
  Table<ds_artifact_number> Arguments;
  Table<ds_artifact_attribute> Attributes;
  Table<ds_artifact_body> Bodies;
  Table<ds_artifact_version> Versions;
  Table<ds_artifact_guard> Guards;
  Table<ds_artifact_property> Properties;
  Table<ds_artifact_weights_file> WeightsFiles; // none or one
  Table<ds_artifact_code> Codes;                // none or one
  Table<ds_artifact_donation> Donations;
  Table<ds_artifact_default> Defaults;
  Table<ds_artifact_text> FixedInputs;
  Table<ds_artifact_device> Devices;
  Table<ds_artifact_device_code> DeviceCodes;
  Table<ds_artifact_collective> Collectives;

  const unsigned char *ExportBytes = nullptr; // of DS_TABLE_EXPORT; NULL without it
  uint64_t ExportLength = 0;

  /// DS_BAD_ARTIFACT with a message that says what is wrong. A body's metadata has no bodies. Whether calls fit their
  /// bodies is for the caller to check.
  ds_status parse(const void *Bytes, size_t Size, ds_error *Error, bool IsBody = false);
  const unsigned char *bodyBytes(size_t Body) const { return BodyBytes + Bodies[Body].offset; }

  /// What an attribute holds: its `count` values.
  const unsigned char *attributeBytes(uint64_t Offset) const { return AttributeBytes + Offset; }

  /// Number `Index` of a list of strings there.
  ds_string string(uint64_t Offset, uint64_t Index) const {
    const ds_artifact_bytes &B = reinterpret_cast<const ds_artifact_bytes *>(AttributeBytes + Offset)[Index];
    return {reinterpret_cast<const char *>(AttributeBytes + B.offset), B.length};
  }

  const char *text(ds_artifact_text T) const { return Strings + T.offset; }
  /// The name of a symbol, bound ones included.
  const char *symbolName(size_t I) const {
    return text(I < Symbols.size() ? Symbols[I].name : Bound[I - Symbols.size()].name);
  }
  /// What the program cannot run without and this runtime has not ("a CUDA device (sm_90a)"), or nothing.
  void describeNeeds(Text &Out) const;
  size_t symbolCount() const { return Symbols.size() + Bound.size(); }
  /// True if stage `Stage` knows the number.
  bool isKnown(const ds_artifact_number &N, size_t Stage) const;
  /// The stage that launch `Launch` belongs to.
  size_t stageOf(uint64_t Launch) const;

private:
  const char *Strings = nullptr;
  uint64_t StringBytes = 0;
  const unsigned char *BodyBytes = nullptr;
  uint64_t BodyLength = 0;
  const unsigned char *AttributeBytes = nullptr;
  uint64_t AttributeLength = 0;
  uint64_t DeviceLength = 0;

  ds_status findTables(const unsigned char *Bytes, const ds_artifact_header &Header, ds_error *Error);
  const char *problem(bool IsBody) const;
  bool isText(ds_artifact_text T) const;
  bool isNumber(const ds_artifact_number &N) const;
  const char *tensorProblem(const Table<ds_artifact_tensor> &Tensors) const;
  const char *bufferProblem() const;
  const char *donationProblem() const;
  const char *defaultProblem() const;
  const char *guardProblem() const;
  /// `Count` strings in the table of attributes' bytes.
  const char *stringsProblem(uint64_t Offset, uint64_t Count) const;
  const char *deviceProblem() const;
  bool isSpace(uint32_t Space) const { return Space <= Devices.size(); }
  const char *stageProblem() const;
  const char *boundProblem() const;
  const char *callProblem() const;
  const char *operandProblem() const;
  const char *attributeProblem() const;
  /// How many elements of the type are in the buffer, whatever the sizes, before `Stage` begins; 0 where it holds
  /// others.
  uint64_t constantElements(const ds_artifact_buffer &B, size_t Stage, uint32_t Dtype) const;
  bool isOperand(const ds_artifact_operand &O, size_t Stage) const;
};

/// Bodies that the call runs.
inline size_t bodyCount(const ds_artifact_call &C) {
  return C.kind == DS_CALL_BRANCH ? 2 : C.kind == DS_CALL_LOOP ? 1 : 0;
}

/// True for the operand of a custom operator that its node leaves out.
inline bool isAbsent(const ds_artifact_operand &O) { return O.dtype == 0; }

/// Bytes of an element; 0 for no type.
size_t dtypeSize(uint32_t Dtype);

} // namespace ds::runtime

#endif
