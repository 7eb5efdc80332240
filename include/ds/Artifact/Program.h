//===- Program.h - What an artifact says of its program ---------*- C++ -*-===//
// Assumes: nothing of LLVM or MLIR.
// Guarantees: mirrors ds_artifact.h, where each field is explained, one to one.
// Declines: code; that comes as object files (Link.h).
//===----------------------------------------------------------------------===//
#ifndef DS_ARTIFACT_PROGRAM_H
#define DS_ARTIFACT_PROGRAM_H

#include "runtime/include/ds_artifact.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ds::artifact {

/// A size that is known, or that `sizes` computes, or that a run gives.
struct Number {
  uint32_t kind = DS_NUMBER_NONE;
  int64_t value = 0;

  static Number constant(int64_t value) { return {DS_NUMBER_CONSTANT, value}; }
  static Number ofValue(uint32_t index) { return {DS_NUMBER_VALUE, index}; }
  static Number ofSymbol(uint32_t index) { return {DS_NUMBER_SYMBOL, index}; }
  static Number none() { return {}; }
};

struct Dimension {
  Number size;
  std::string text; // "N", "2*N+1", "3"
};

struct Tensor {
  std::string name;
  uint32_t dtype = 0; // DS_FLOAT32, ...
  std::vector<Dimension> dimensions;
  uint32_t space = DS_SPACE_HOST; // or 1 + the number of a device
};

/// The input's memory becomes the output's.
struct Donation {
  uint32_t input = 0, output = 0;
  bool inPlace = false;     // from the start; otherwise by a copy at the end
  bool isUnchanged = false; // nothing writes there
};

/// What a run computes with that does not give the input.
struct Default {
  uint32_t input = 0;
  std::vector<int64_t> shape;
  uint32_t weight = 0;                   // its elements; not of strings:
  std::vector<std::string> strings = {}; // these
};

/// What parts of the program run on beside the host.
struct Device {
  uint32_t type = DS_DEVICE_CUDA;
  std::string target; // "sm_90a"
};

struct DeviceCode {
  uint32_t device = 0, form = DS_DEVICE_CODE_PTX;
  std::string bytes; // PTX is followed by a NUL in the file
};

/// Communication between ranks.
struct Collective {
  uint32_t kind = 0, launch = 0, dtype = DS_FLOAT32;
  std::string group;
};

/// The dimension of that input must be Number::ofSymbol of this one; without an input, calls or the session give the
/// value.
struct Symbol {
  std::string name; // unique
  std::string display;
  uint32_t input = 0, dimension = 0; // DS_ARTIFACT_GIVEN
};

/// A size that is read from a buffer while the program runs; with dtype 0 a dim of a call's operand, `buffer`.
struct BoundSymbol {
  std::string name; // unique, of symbols too
  std::string source;
  uint32_t buffer = 0, dtype = 0;
  uint64_t element = 0;
};

/// A part of the program whose sizes are all known when it begins.
struct Stage {
  uint64_t symbolCount = 0, valueCount = 0, firstLaunch = 0;
  Number scratch = Number::constant(0); // bytes a worker thread
};

/// Bytes that are already in memory, or that are produced piece by piece while the file is written.
struct Weight {
  using Sink = std::function<void(const void *data, uint64_t size)>;

  uint64_t size = 0;
  const void *data = nullptr;
  /// Used where `data` is null: must give exactly `size` bytes to the sink, in order.
  std::function<void(const Sink &)> produce;
  /// What a file of weights calls it; there alone they matter.
  std::string name = {};
  uint32_t dtype = 0; // DS_FLOAT32, ...
  std::vector<int64_t> shape = {};
  /// What equal weights have in common and different ones have not; "" where nobody asks (shareWeights).
  std::string digest = {};
};

/// A safetensors file with the weights, in the artifact's folder.
struct WeightsFile {
  std::string name;
  uint64_t offset = 0, headerHash = 0, weightsHash = 0; // writeSafetensors
};

struct Buffer {
  uint32_t kind = 0;  // DS_BUFFER_*
  uint32_t index = 0; // of the input, output or weight
  Number size;        // of a temporary, in bytes
  uint32_t firstLaunch = 0, lastLaunch = 0;
  uint32_t space = DS_SPACE_HOST;
  uint32_t dtype = 0; // of what launches write

  static Buffer input(uint32_t index) { return {DS_BUFFER_INPUT, index, {}, 0, 0}; }
  static Buffer output(uint32_t index, uint32_t writer = 0) { return {DS_BUFFER_OUTPUT, index, {}, writer, writer}; }
  static Buffer result(uint32_t index) { return {DS_BUFFER_RESULT, index, {}, 0, 0}; }
  static Buffer weight(uint32_t index) { return {DS_BUFFER_WEIGHT, index, {}, 0, 0}; }
  static Buffer temporary(Number size, uint32_t first, uint32_t last) {
    return {DS_BUFFER_TEMPORARY, 0, size, first, last};
  }
};

struct Kernel {
  std::string name;   // of its function
  std::string source; // names of the model's nodes
};

struct Launch {
  uint32_t kernel = 0;
  std::string source;  // "node 'foo' (Conv)": begins diagnostics
  Number flops, bytes; // Number::none() where not known
};

/// A tensor that a call takes or makes; without a type one that a custom operator's node leaves out.
struct Operand {
  uint32_t buffer = DS_ARTIFACT_NO_BUFFER;
  Tensor tensor;
};

/// Of a custom operator's node.
struct Attribute {
  std::string name;
  uint32_t kind = 0; // DS_ATTRIBUTE_*: says which of the following are its value; a single one is a list of one
  std::vector<int64_t> ints = {}; // dimensions of a tensor
  std::vector<float> floats = {};
  std::vector<std::string> strings = {};
  uint32_t weight = 0, dtype = 0; // a tensor's elements
};

/// ds_artifact_call. Operands are numbered through all calls of a program, inputs before outputs.
struct Call {
  uint32_t kind = 0, stage = 0;
  std::vector<uint32_t> bodies;
  uint32_t trips = DS_ARTIFACT_NO_BUFFER, condition = DS_ARTIFACT_NO_BUFFER, tripsDtype = DS_INT64, split = 0;
  std::vector<Operand> inputs, outputs;
  std::vector<std::vector<Number>> arguments; // one list a body
  std::string source;
  std::string name = {}, domain = {}; // of a custom operator
  std::vector<Attribute> attributes = {};
};

/// The body that takes the program's place where its symbols, by number, have these sizes, and the run does not give
/// these inputs.
struct Version {
  uint32_t body = 0;
  std::vector<std::pair<uint32_t, int64_t>> sizes;
  std::vector<uint32_t> leftOut = {};
};

struct Program {
  std::string triple, cpu, compiler;
  std::vector<std::string> features; // see checkedFeatures
  uint32_t valueCount = 0;
  std::vector<Symbol> symbols;
  std::vector<BoundSymbol> bound;
  std::vector<Stage> stages; // at least one
  std::vector<Tensor> inputs, outputs;
  std::vector<std::string> constraints;
  std::vector<Weight> weights;
  std::optional<WeightsFile> weightsFile; // none: the artifact holds them
  std::vector<Buffer> buffers;            // in the order of ds_program_host.buffers
  std::vector<Kernel> kernels;
  std::vector<Launch> launches;
  std::vector<Call> calls;
  std::vector<Version> versions; // in the order of their being tried
  std::vector<Donation> donations;
  std::vector<Default> defaults;
  std::vector<std::string> fixedInputs; // inputs of the source model that are constants here
  std::vector<Device> devices;
  std::vector<DeviceCode> deviceCode;
  std::vector<Collective> collectives;
  std::vector<Program> bodies; // of the outermost program alone, with the same weights: theirs are empty
  std::vector<std::pair<std::string, std::string>> properties;
  std::string exported; // DS_TABLE_EXPORT; "": none
};

/// One program, compiled for several CPUs, the most capable first. The first one has all weights; the others', whose
/// buffers refer to those, are empty.
using Variants = std::span<const Program>;

/// Makes variants of programs that have weights of their own. Equal weights become one.
void shareWeights(std::vector<Program> &variants);

/// Offset of each weight in the weights section, and the section's length.
std::vector<uint64_t> layOutWeights(const Program &program, uint64_t &length);

/// The metadata section. Hashes of ds_artifact_program are as given, that of the header is computed. `code` may be
/// null. `error` says what of the program is inconsistent (the result is empty then).
std::vector<char> serializeMetadata(Variants variants, uint64_t codeId, uint64_t weightsHash, std::string &error,
                                    const ds_artifact_code *code = nullptr);
inline std::vector<char> serializeMetadata(const Program &program, uint64_t codeId, uint64_t weightsHash,
                                           std::string &error, const ds_artifact_code *code = nullptr) {
  return serializeMetadata(Variants(&program, 1), codeId, weightsHash, error, code);
}

/// Of LLVM's feature string ("+avx2,+fma,-xop,...") for a machine of that triple, the names switched on that the
/// runtime can check: instruction sets, not tuning.
std::vector<std::string> checkedFeatures(std::string_view triple, std::string_view llvmFeatures);

} // namespace ds::artifact

#endif
