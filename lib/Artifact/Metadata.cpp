//===- Metadata.cpp - Writes the metadata section --------------------------===//
// Assumes: a little-endian machine.
// Guarantees: the runtime's own checks accept what it writes; the same program gives the same bytes.
// Declines: programs with more than 4 GB of texts.
//===----------------------------------------------------------------------===//
#include "runtime/src/Metadata.h"
#include "ds/Artifact/Program.h"
#include "runtime/include/ds_hash.h"
#include "runtime/include/ds_kernel.h"
#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

namespace ds::artifact {

namespace {

class Writer {
public:
  ds_artifact_text text(const std::string &s) {
    auto [it, isNew] = known.try_emplace(s);
    if (isNew) {
      it->second = {uint32_t(strings.size()), uint32_t(s.size())};
      strings.append(s).push_back('\0');
    }
    return it->second;
  }

  static ds_artifact_number number(const Number &n) { return {n.kind, 0, n.value}; }

  template <typename T> void table(uint32_t kind, const std::vector<T> &entries) {
    add(kind, sizeof(T), entries.size(), entries.data());
  }
  void add(uint32_t kind, uint32_t entrySize, uint64_t count, const void *bytes) {
    tables.push_back({kind, entrySize, body.size(), count});
    body.append(static_cast<const char *>(bytes), entrySize * count);
    body.resize((body.size() + 7) & ~size_t(7));
  }

  void setBodies(const std::vector<std::vector<char>> &bodies) {
    std::vector<ds_artifact_body> entries;
    std::string bytes;
    for (const std::vector<char> &body : bodies) {
      entries.push_back({bytes.size(), body.size()});
      bytes.append(body.data(), body.size());
    }
    table(DS_TABLE_BODIES, entries);
    add(DS_TABLE_BODY_BYTES, 1, bytes.size(), bytes.data());
  }

  std::vector<char> finish() {
    add(DS_TABLE_STRINGS, 1, strings.size(), strings.data());
    ds_artifact_header header = {};
    const uint64_t start = sizeof header + tables.size() * sizeof(ds_artifact_table);
    memcpy(header.magic, DS_ARTIFACT_MAGIC, sizeof header.magic);
    header.version = DS_ARTIFACT_VERSION;
    header.table_count = uint32_t(tables.size());
    header.length = start + body.size();
    for (ds_artifact_table &t : tables)
      t.offset += start;
    std::vector<char> out(header.length);
    memcpy(out.data(), &header, sizeof header);
    memcpy(out.data() + sizeof header, tables.data(), tables.size() * sizeof(ds_artifact_table));
    memcpy(out.data() + start, body.data(), body.size());
    header.hash = ds_hash_bytes(out.data(), out.size());
    memcpy(out.data(), &header, sizeof header);
    return out;
  }

private:
  std::map<std::string, ds_artifact_text> known;
  std::string strings, body;
  std::vector<ds_artifact_table> tables;
};

} // namespace

std::vector<uint64_t> layOutWeights(const Program &program, uint64_t &length) {
  std::vector<uint64_t> offsets;
  length = 0;
  for (const Weight &w : program.weights) {
    length = (length + DS_ARTIFACT_WEIGHT_ALIGNMENT - 1) & ~uint64_t(DS_ARTIFACT_WEIGHT_ALIGNMENT - 1);
    offsets.push_back(length);
    length += w.size;
  }
  return offsets;
}

namespace {
/// What the weights are to a program and its bodies.
struct WeightTable {
  std::vector<uint64_t> offsets, sizes;
  uint64_t length = 0, hash = 0;
};

/// Attributes of custom operators: what they hold lies in a table of bytes.
class AttributeWriter {
public:
  /// False where the weight does not exist.
  bool add(ds_artifact_text name, const Attribute &a, const WeightTable &weights) {
    ds_artifact_attribute entry = {name, a.kind, a.dtype, 0, 0, 0, 0};
    switch (a.kind) {
    case DS_ATTRIBUTE_FLOAT:
    case DS_ATTRIBUTE_FLOATS:
      append(entry, a.floats);
      break;
    case DS_ATTRIBUTE_STRING:
    case DS_ATTRIBUTE_STRINGS: {
      entry.offset = addStrings(a.strings);
      entry.count = a.strings.size();
      break;
    }
    case DS_ATTRIBUTE_TENSOR:
      if (a.weight >= weights.offsets.size())
        return false;
      entry.weight_offset = weights.offsets[a.weight];
      entry.weight_length = weights.sizes[a.weight];
      append(entry, a.ints);
      break;
    default:
      append(entry, a.ints);
    }
    entries.push_back(entry);
    return true;
  }

  /// Where the list of them lies.
  uint64_t addStrings(const std::vector<std::string> &strings) {
    std::vector<ds_artifact_bytes> list;
    for (const std::string &s : strings) {
      list.push_back({bytes.size(), s.size()});
      bytes.append(s.c_str(), s.size() + 1);
    }
    ds_artifact_attribute entry;
    append(entry, list);
    return entry.offset;
  }

  std::vector<ds_artifact_attribute> entries;
  std::string bytes;

private:
  template <typename T> void append(ds_artifact_attribute &entry, const std::vector<T> &values) {
    bytes.resize((bytes.size() + 7) & ~size_t(7));
    entry.offset = bytes.size();
    entry.count = values.size();
    bytes.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
  }
};
} // namespace

/// What a program needs beside the host; most have nothing of it, and no such tables.
static void addDevices(Writer &w, const Program &program) {
  if (!program.devices.empty()) {
    std::vector<ds_artifact_device> devices;
    for (const Device &d : program.devices)
      devices.push_back({d.type, 0, w.text(d.target)});
    w.table(DS_TABLE_DEVICES, devices);
    std::vector<ds_artifact_device_code> codes;
    std::string bytes;
    for (const DeviceCode &c : program.deviceCode) {
      codes.push_back({c.device, c.form, bytes.size(), c.bytes.size()});
      bytes += c.bytes;
      bytes.resize((bytes.size() + 8) & ~size_t(7)); // a NUL at least
    }
    w.table(DS_TABLE_DEVICE_CODE, codes);
    w.add(DS_TABLE_DEVICE_BYTES, 1, bytes.size(), bytes.data());
  }
  if (!program.collectives.empty()) {
    std::vector<ds_artifact_collective> collectives;
    for (const Collective &c : program.collectives)
      collectives.push_back({c.kind, c.launch, c.dtype, 0, w.text(c.group)});
    w.table(DS_TABLE_COLLECTIVES, collectives);
  }
}

static std::vector<char> serialize(const Program &program, const WeightTable &weights, uint64_t codeId,
                                   std::string &error, const ds_artifact_code *code, bool isBody) {
  Writer w;
  ds_artifact_program p = {};
  p.triple = w.text(program.triple);
  p.cpu = w.text(program.cpu);
  p.compiler = w.text(program.compiler);
  p.kernel_abi = DS_KERNEL_ABI_VERSION;
  p.value_count = program.valueCount;
  p.code_id = codeId;
  p.weights_length = weights.length;
  p.weights_hash = weights.hash;
  w.add(DS_TABLE_PROGRAM, sizeof p, 1, &p);

  std::vector<ds_artifact_text> texts;
  for (const std::string &f : program.features)
    texts.push_back(w.text(f));
  w.table(DS_TABLE_FEATURES, texts);
  texts.clear();
  for (const std::string &c : program.constraints)
    texts.push_back(w.text(c));
  w.table(DS_TABLE_CONSTRAINTS, texts);

  std::vector<ds_artifact_symbol> symbols;
  for (const Symbol &s : program.symbols)
    symbols.push_back({w.text(s.name), w.text(s.display), s.input, s.dimension});
  w.table(DS_TABLE_SYMBOLS, symbols);
  std::vector<ds_artifact_bound> bound;
  for (const BoundSymbol &s : program.bound)
    bound.push_back({w.text(s.name), w.text(s.source), s.buffer, s.dtype, s.element});
  w.table(DS_TABLE_BOUND, bound);
  std::vector<ds_artifact_stage> stages;
  for (const Stage &s : program.stages)
    stages.push_back({s.symbolCount, s.valueCount, s.firstLaunch, Writer::number(s.scratch)});
  w.table(DS_TABLE_STAGES, stages);

  std::vector<ds_artifact_dimension> dimensions;
  auto addDimensions = [&](const Tensor &t) {
    const uint64_t first = dimensions.size();
    for (const Dimension &d : t.dimensions)
      dimensions.push_back({Writer::number(d.size), w.text(d.text)});
    return first;
  };
  auto tensors = [&](uint32_t kind, const std::vector<Tensor> &list) {
    std::vector<ds_artifact_tensor> entries;
    for (const Tensor &t : list)
      entries.push_back({w.text(t.name), t.dtype, uint32_t(t.dimensions.size()), addDimensions(t), t.space, 0});
    w.table(kind, entries);
  };
  tensors(DS_TABLE_INPUTS, program.inputs);
  tensors(DS_TABLE_OUTPUTS, program.outputs);
  std::vector<ds_artifact_call> calls;
  std::vector<ds_artifact_operand> operands;
  std::vector<ds_artifact_number> arguments;
  for (const Call &c : program.calls) {
    ds_artifact_call entry = {c.kind,
                              c.stage,
                              {},
                              c.trips,
                              c.condition,
                              c.tripsDtype,
                              c.split,
                              operands.size(),
                              uint32_t(c.inputs.size()),
                              uint32_t(c.outputs.size()),
                              {},
                              {},
                              w.text(c.source),
                              {},
                              {},
                              0,
                              0};
    for (size_t i = 0; i < std::min<size_t>(c.bodies.size(), 2); ++i) {
      entry.bodies[i] = c.bodies[i];
      entry.first_argument[i] = arguments.size();
      entry.argument_count[i] = uint32_t(c.arguments[i].size());
      for (const Number &n : c.arguments[i])
        arguments.push_back(Writer::number(n));
    }
    for (const std::vector<Operand> *list : {&c.inputs, &c.outputs})
      for (const Operand &o : *list)
        operands.push_back(
            {o.buffer, o.tensor.dtype, uint32_t(o.tensor.dimensions.size()), 0, addDimensions(o.tensor)});
    calls.push_back(entry);
  }
  AttributeWriter attributes;
  std::vector<ds_artifact_default> defaults;
  for (const Default &d : program.defaults) {
    Tensor shape;
    for (int64_t size : d.shape)
      shape.dimensions.push_back({Number::constant(size), std::to_string(size)});
    ds_artifact_default &entry = defaults.emplace_back();
    entry = {d.input, 0, addDimensions(shape), 0, 0};
    if (d.input < program.inputs.size() && program.inputs[d.input].dtype == DS_STRING) {
      entry.offset = attributes.addStrings(d.strings);
      entry.length = d.strings.size();
    } else if (d.weight < weights.offsets.size()) {
      entry.offset = weights.offsets[d.weight];
      entry.length = weights.sizes[d.weight];
    } else {
      error = "a default of a weight that does not exist";
      return {};
    }
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    const Call &c = program.calls[i];
    calls[i].name = w.text(c.name);
    calls[i].domain = w.text(c.domain);
    calls[i].first_attribute = attributes.entries.size();
    calls[i].attribute_count = c.attributes.size();
    for (const Attribute &a : c.attributes)
      if (!attributes.add(w.text(a.name), a, weights)) {
        error = "an attribute of a weight that does not exist";
        return {};
      }
  }
  w.table(DS_TABLE_ATTRIBUTES, attributes.entries);
  w.add(DS_TABLE_ATTRIBUTE_BYTES, 1, attributes.bytes.size(), attributes.bytes.data());
  w.table(DS_TABLE_DIMENSIONS, dimensions);
  w.table(DS_TABLE_CALLS, calls);
  w.table(DS_TABLE_OPERANDS, operands);
  w.table(DS_TABLE_ARGUMENTS, arguments);

  std::vector<ds_artifact_buffer> buffers;
  for (const Buffer &b : program.buffers) {
    ds_artifact_buffer entry = {b.kind,        b.index,      0,       0,      Writer::number(b.size),
                                b.firstLaunch, b.lastLaunch, b.space, b.dtype};
    if (b.kind == DS_BUFFER_WEIGHT) {
      if (b.index >= weights.offsets.size()) {
        error = "a buffer of a weight that does not exist";
        return {};
      }
      entry.offset = weights.offsets[b.index];
      entry.length = weights.sizes[b.index];
    }
    buffers.push_back(entry);
  }
  w.table(DS_TABLE_BUFFERS, buffers);

  std::vector<ds_artifact_kernel> kernels;
  for (const Kernel &k : program.kernels)
    kernels.push_back({w.text(k.name), w.text(k.source)});
  w.table(DS_TABLE_KERNELS, kernels);
  std::vector<ds_artifact_launch> launches;
  for (const Launch &l : program.launches)
    launches.push_back({l.kernel, 0, w.text(l.source), Writer::number(l.flops), Writer::number(l.bytes)});
  w.table(DS_TABLE_LAUNCHES, launches);
  std::vector<ds_artifact_property> properties;
  for (const auto &[key, value] : program.properties)
    properties.push_back({w.text(key), w.text(value)});
  w.table(DS_TABLE_PROPERTIES, properties);
  if (!program.exported.empty())
    w.add(DS_TABLE_EXPORT, 1, program.exported.size(), program.exported.data());

  if (const std::optional<WeightsFile> &f = program.weightsFile) {
    std::vector<ds_artifact_weights_file> files = {{w.text(f->name), f->offset, f->headerHash}};
    w.table(DS_TABLE_WEIGHTS_FILE, files);
  }

  if (code)
    w.add(DS_TABLE_CODE, sizeof *code, 1, code);

  std::vector<ds_artifact_donation> donations;
  for (const Donation &d : program.donations)
    donations.push_back({d.input, d.output,
                         d.isUnchanged ? uint32_t(DS_DONATION_UNCHANGED)
                         : d.inPlace   ? uint32_t(DS_DONATION_IN_PLACE)
                                       : uint32_t(DS_DONATION_COPIED),
                         0});
  w.table(DS_TABLE_DONATIONS, donations);
  // Most programs have neither.
  if (!defaults.empty())
    w.table(DS_TABLE_DEFAULTS, defaults);
  if (!program.fixedInputs.empty()) {
    texts.clear();
    for (const std::string &name : program.fixedInputs)
      texts.push_back(w.text(name));
    w.table(DS_TABLE_FIXED_INPUTS, texts);
  }
  addDevices(w, program);

  std::vector<ds_artifact_version> versions;
  std::vector<ds_artifact_guard> guards;
  for (const Version &v : program.versions) {
    versions.push_back({v.body, uint32_t(v.sizes.size() + v.leftOut.size()), guards.size()});
    for (const auto &[symbol, size] : v.sizes)
      guards.push_back({symbol, DS_GUARD_SIZE, size});
    for (uint32_t input : v.leftOut)
      guards.push_back({input, DS_GUARD_LEFT_OUT, 0});
  }
  w.table(DS_TABLE_VERSIONS, versions);
  w.table(DS_TABLE_GUARDS, guards);
  std::vector<std::vector<char>> bodies;
  for (const Program &body : program.bodies) {
    bodies.push_back(serialize(body, weights, 0, error, nullptr, /*isBody=*/true));
    if (!error.empty())
      return {};
  }
  if (!bodies.empty())
    w.setBodies(bodies);

  std::vector<char> bytes = w.finish();
  ds_error problem;
  runtime::Metadata check;
  if (check.parse(bytes.data(), bytes.size(), &problem, isBody)) {
    error = problem.message;
    return {};
  }
  return bytes;
}

std::vector<char> serializeMetadata(Variants variants, uint64_t codeId, uint64_t weightsHash, std::string &error,
                                    const ds_artifact_code *code) {
  WeightTable weights;
  weights.offsets = layOutWeights(variants.front(), weights.length);
  weights.hash = weightsHash;
  for (const Weight &weight : variants.front().weights)
    weights.sizes.push_back(weight.size);
  std::vector<char> all;
  for (const Program &program : variants) {
    const std::vector<char> bytes = serialize(program, weights, codeId, error, code, /*isBody=*/false);
    if (!error.empty())
      return {};
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

namespace {
/// What says that two weights are one: their bytes, and what a file of weights says of them.
using WeightKey = std::tuple<uint64_t, std::string, uint32_t, std::vector<int64_t>>;
} // namespace

/// The weights of `from`, which its buffers, the attributes of its custom operators, and those of its bodies index,
/// become those of `into`.
static void moveWeights(Program &from, std::vector<Weight> &into, std::map<WeightKey, uint32_t> &known) {
  std::vector<uint32_t> numbers;
  for (Weight &weight : from.weights) {
    const bool canBeShared = !weight.digest.empty();
    auto [it, isNew] = known.try_emplace(
        {weight.size, canBeShared ? weight.digest : "#" + std::to_string(into.size()), weight.dtype, weight.shape},
        uint32_t(into.size()));
    numbers.push_back(it->second);
    if (isNew)
      into.push_back(std::move(weight));
  }
  from.weights.clear();
  auto renumber = [&](Program &program) {
    for (Buffer &buffer : program.buffers)
      if (buffer.kind == DS_BUFFER_WEIGHT && buffer.index < numbers.size())
        buffer.index = numbers[buffer.index];
    for (Default &given : program.defaults)
      if (given.strings.empty() && given.weight < numbers.size())
        given.weight = numbers[given.weight];
    for (Call &call : program.calls)
      for (Attribute &attribute : call.attributes)
        if (attribute.kind == DS_ATTRIBUTE_TENSOR && attribute.weight < numbers.size())
          attribute.weight = numbers[attribute.weight];
  };
  renumber(from);
  for (Program &body : from.bodies)
    renumber(body);
}

void shareWeights(std::vector<Program> &variants) {
  std::vector<Weight> all;
  std::map<WeightKey, uint32_t> known;
  for (Program &program : variants)
    moveWeights(program, all, known);
  variants.front().weights = std::move(all);
}

std::vector<std::string> checkedFeatures(std::string_view triple, std::string_view llvmFeatures) {
  static constexpr const char *x86[] = {
#define DS_X86_FEATURE(name, leaf, subleaf, where, bit, state) name,
#include "runtime/src/X86Features.def"
#undef DS_X86_FEATURE
  };
  static constexpr const char *arm[] = {
#define DS_AARCH64_FEATURE(name, hwcap, hwcap2) name,
#include "runtime/src/AArch64Features.def"
#undef DS_AARCH64_FEATURE
  };
  const bool isArm = triple.substr(0, triple.find('-')) == "aarch64";
  const char *const *names = isArm ? std::begin(arm) : std::begin(x86);
  const char *const *end = isArm ? std::end(arm) : std::end(x86);
  std::vector<std::string> result;
  while (!llvmFeatures.empty()) {
    const size_t comma = std::min(llvmFeatures.find(','), llvmFeatures.size());
    std::string_view item = llvmFeatures.substr(0, comma);
    llvmFeatures.remove_prefix(std::min(comma + 1, llvmFeatures.size()));
    if (item.empty() || item.front() != '+')
      continue;
    if (auto *name = std::find(names, end, item.substr(1)); name != end)
      result.emplace_back(*name);
  }
  return result;
}

} // namespace ds::artifact
