//===- DamageTest.cpp - Metadata and files that are not what they say --------===//
#include "CpuFeatures.h"
#include "Custom.h"
#include "Metadata.h"
#include "Model.h"
#include "Tiny.h"
#include "ds_hash.h"
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <random>
#include <unistd.h>

using namespace ds::artifact;
using namespace ds::test;
using ds::runtime::Metadata;

namespace {

std::vector<char> tinyMetadata() {
  std::string error;
  std::vector<char> bytes = serializeMetadata(tinyProgram(), 1, 2, error);
  EXPECT_EQ(error, "");
  return bytes;
}

/// With a donation, and parts that run on a device and communicate.
std::vector<char> deviceMetadata() {
  Program p = tinyProgram();
  p.outputs[0].dimensions = p.inputs[1].dimensions;
  p.donations = {{1, 0, true}};
  p.devices = {{DS_DEVICE_CUDA, "sm_90a"}, {DS_DEVICE_CUDA, "sm_80"}};
  p.deviceCode = {{0, DS_DEVICE_CODE_PTX, ".version 8.0"}, {1, DS_DEVICE_CODE_CUBIN, std::string(20, '\1')}};
  p.inputs[1].space = p.outputs[0].space = p.buffers[1].space = p.buffers[3].space = 2;
  p.collectives = {{1, 2, DS_FLOAT32, "data"}};
  std::string error;
  std::vector<char> bytes = serializeMetadata(p, 1, 2, error);
  EXPECT_EQ(error, "");
  return bytes;
}

/// Of a training step, with a model to export.
std::vector<char> trainMetadata() {
  Program p = tinyProgram();
  const uint64_t length = 5;
  p.exported = std::string(reinterpret_cast<const char *>(&length), sizeof length) + "modelgraph";
  p.buffers[6].dtype = DS_FLOAT32;
  std::string error;
  std::vector<char> bytes = serializeMetadata(p, 1, 2, error);
  EXPECT_EQ(error, "");
  return bytes;
}

/// Parses a copy of exactly that size, so that the address sanitizer sees every byte too many; reads all that was
/// accepted.
ds_status parse(const std::vector<char> &bytes, std::string *message = nullptr) {
  char *copy = static_cast<char *>(malloc(bytes.size() + !bytes.size()));
  if (!bytes.empty())
    memcpy(copy, bytes.data(), bytes.size());
  Metadata meta;
  ds_error error = {};
  const ds_status status = meta.parse(copy, bytes.size(), &error);
  if (message)
    *message = error.message;
  size_t sum = 0;
  if (!status) {
    for (size_t i = 0; i < meta.Launches.size(); ++i)
      sum += strlen(meta.text(meta.Launches[i].source)) + meta.Kernels[meta.Launches[i].kernel].name.length;
    for (size_t i = 0; i < meta.Symbols.size(); ++i)
      sum += (meta.Symbols[i].input == DS_ARTIFACT_GIVEN ? 0 : meta.Inputs[meta.Symbols[i].input].rank) +
             strlen(meta.text(meta.Symbols[i].name));
    for (size_t i = 0; i < meta.Donations.size(); ++i)
      sum += meta.Inputs[meta.Donations[i].input].rank + meta.Outputs[meta.Donations[i].output].rank;
    for (size_t i = 0; i < meta.Buffers.size(); ++i)
      if (meta.Buffers[i].space)
        sum += strlen(meta.text(meta.Devices[meta.Buffers[i].space - 1].target));
    ds::runtime::Text needs;
    meta.describeNeeds(needs);
    sum += needs.size();
    for (size_t i = 0; i < meta.Outputs.size(); ++i)
      for (size_t d = 0; d < meta.Outputs[i].rank; ++d)
        sum += strlen(meta.text(meta.Dimensions[meta.Outputs[i].first_dimension + d].text));
    for (size_t i = 0; i < meta.Properties.size(); ++i)
      sum += strlen(meta.text(meta.Properties[i].value));
    if (meta.ExportBytes) {
      uint64_t model;
      memcpy(&model, meta.ExportBytes, sizeof model);
      for (uint64_t i = 0; i < sizeof model + model; ++i)
        sum += meta.ExportBytes[i] != 0;
      sum += meta.ExportLength - model;
    }
  }
  EXPECT_LT(sum, size_t(1) << 20);
  free(copy);
  return status;
}

/// Makes the checksum right again: what an attacker would do.
void rehash(std::vector<char> &bytes) {
  ds_artifact_header header;
  if (bytes.size() < sizeof header)
    return;
  memcpy(&header, bytes.data(), sizeof header);
  if (header.length > bytes.size())
    return;
  header.hash = 0;
  memcpy(bytes.data(), &header, sizeof header);
  header.hash = ds_hash_bytes(bytes.data(), header.length);
  memcpy(bytes.data(), &header, sizeof header);
}

} // namespace

TEST(Damage, SoundMetadataIsAccepted) {
  EXPECT_EQ(parse(tinyMetadata()), DS_OK);
  EXPECT_EQ(parse(deviceMetadata()), DS_OK);
}

TEST(Damage, TheModelToExportComesAsItIs) {
  TestFolder folder;
  Program p = tinyProgram();
  const uint64_t length = 5;
  p.exported = std::string(reinterpret_cast<const char *>(&length), sizeof length) + "modelgraph";
  for (bool is : {true, false}) {
    if (!is)
      p.exported.clear();
    const std::string path = linkTiny(folder.file(is ? "with.so" : "without.so"), EmitKind::SharedLibrary, p);
    ds_model *model = nullptr;
    ds_error error;
    ds_model_source source = {};
    ASSERT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
    EXPECT_EQ(ds_model_export(model, &source), is ? DS_OK : DS_BAD_ARGUMENT);
    EXPECT_EQ(std::string(static_cast<const char *>(source.model), source.model_size), is ? "model" : "");
    EXPECT_EQ(std::string(static_cast<const char *>(source.graph), source.graph_size), is ? "graph" : "");
    ds_model_release(model);
  }
}

TEST(Damage, OtherVersionsOfTheFormatAreNamed) {
  for (uint32_t version : {0u, 4u, 6u, 1000u}) {
    std::vector<char> bytes = tinyMetadata();
    memcpy(bytes.data() + offsetof(ds_artifact_header, version), &version, sizeof version);
    for (bool sound : {true, false}) { // whatever else has changed since
      if (!sound)
        bytes.resize(sizeof(ds_artifact_header));
      rehash(bytes);
      std::string message, expected = "artifact has format version " + std::to_string(version) +
                                      ", this runtime reads version 5; compile the model again";
      EXPECT_EQ(parse(bytes, &message), DS_BAD_ARTIFACT);
      EXPECT_EQ(message, expected + (version > 5 ? ", or run it with the runtime that came with its compiler" : ""));
    }
  }
}

TEST(Damage, EveryTruncationIsRefused) {
  const std::vector<char> good = tinyMetadata();
  for (size_t size = 0; size < good.size(); ++size) {
    std::string message;
    EXPECT_EQ(parse({good.begin(), good.begin() + long(size)}, &message), DS_BAD_ARTIFACT);
    EXPECT_NE(message, "");
  }
}

TEST(Damage, EveryFlippedBitIsRefused) {
  std::vector<char> bytes = tinyMetadata();
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] = char(bytes[i] ^ 1 << bit);
      EXPECT_EQ(parse(bytes), DS_BAD_ARTIFACT);
      bytes[i] = char(bytes[i] ^ 1 << bit);
    }
}

TEST(Damage, RightChecksumsHelpNobody) {
  for (const std::vector<char> &good : {tinyMetadata(), deviceMetadata(), trainMetadata()}) {
    for (size_t i = 0; i < good.size(); ++i)
      for (int change : {1, 2, 0x40, 0x80, 0xFF, 0x55}) {
        std::vector<char> bytes = good;
        bytes[i] = char(bytes[i] ^ change);
        rehash(bytes);
        parse(bytes);
      }
    std::mt19937_64 random(1);
    for (int round = 0; round < 20000; ++round) {
      std::vector<char> bytes = good;
      for (int changes = 1 + int(random() % 4); changes > 0; --changes) {
        const size_t at = random() % (bytes.size() / 4) * 4;
        const uint32_t values[] = {0, 1, 0xFFFFFFFF, 0x80000000, uint32_t(random()), uint32_t(bytes.size())};
        memcpy(bytes.data() + at, &values[random() % 6], 4);
      }
      rehash(bytes);
      parse(bytes);
    }
  }
}

TEST(Damage, LaterVersionsMayAddTablesAndFields) {
  // An unknown table and entries of a longer stride, as a later writer would make them.
  std::vector<char> bytes = tinyMetadata();
  ds_artifact_header header;
  memcpy(&header, bytes.data(), sizeof header);
  std::vector<ds_artifact_table> tables(header.table_count);
  memcpy(tables.data(), bytes.data() + sizeof header, tables.size() * sizeof tables[0]);
  const size_t start = sizeof header + tables.size() * sizeof tables[0];
  std::vector<char> body(bytes.begin() + long(start), bytes.end());
  for (ds_artifact_table &t : tables) {
    if (t.kind != DS_TABLE_KERNELS)
      continue;
    std::vector<char> longer(t.count * (t.entry_size + 8), '\x7F');
    for (size_t i = 0; i < t.count; ++i)
      memcpy(longer.data() + i * (t.entry_size + 8), bytes.data() + t.offset + i * t.entry_size, t.entry_size);
    t.offset = start + body.size();
    t.entry_size += 8;
    body.insert(body.end(), longer.begin(), longer.end());
  }
  tables.push_back({1000, 8, start, 1});
  for (ds_artifact_table &t : tables)
    t.offset += sizeof t;
  header.table_count += 1;
  header.length = sizeof header + tables.size() * sizeof tables[0] + body.size();
  std::vector<char> newer(sizeof header);
  memcpy(newer.data(), &header, sizeof header);
  newer.insert(newer.end(), reinterpret_cast<char *>(tables.data()),
               reinterpret_cast<char *>(tables.data() + tables.size()));
  newer.insert(newer.end(), body.begin(), body.end());
  rehash(newer);
  std::string message;
  EXPECT_EQ(parse(newer, &message), DS_OK) << message;
  // One without which the rest would mean something else.
  const uint32_t required = 1000 | DS_TABLE_REQUIRED;
  memcpy(newer.data() + sizeof header + (tables.size() - 1) * sizeof(ds_artifact_table), &required, sizeof required);
  rehash(newer);
  EXPECT_EQ(parse(newer, &message), DS_UNSUPPORTED);
  EXPECT_EQ(message, "the artifact needs what its table of kind 1000 says, which this runtime does not know; take a "
                     "newer runtime");
}

/// `change` makes the program one that is refused with a message that has `part`.
template <typename Change> static void expectRefusal(Program program, Change change, const char *part) {
  change(program);
  std::string error;
  EXPECT_TRUE(serializeMetadata(program, 0, 0, error).empty());
  EXPECT_NE(error.find(part), std::string::npos) << error;
}

TEST(Damage, InconsistenciesAreNamed) {
  auto expect = [](auto change, const char *part) { expectRefusal(tinyProgram(), change, part); };
  expect([](Program &p) { p.symbols[0].input = 7; }, "symbol");
  expect([](Program &p) { p.symbols[0].dimension = 1; }, "symbol");
  expect([](Program &p) { p.valueCount = 2; }, "launch");
  expect([](Program &p) { p.inputs[0].dtype = 99; }, "type");
  expect([](Program &p) { p.inputs[0].name = std::string("a\0b", 3); }, "name");
  expect([](Program &p) { p.outputs[0].dimensions[0].size = Number::none(); }, "dimension");
  expect([](Program &p) { p.buffers[6].lastLaunch = 3; }, "lifetime");
  expect([](Program &p) { p.buffers[3] = Buffer::output(1); }, "without a buffer");
  expect([](Program &p) { p.buffers[0] = Buffer::input(3); }, "does not exist");
  expect([](Program &p) { p.buffers[5] = Buffer::weight(1); }, "does not exist");
  expect([](Program &p) { p.stages[0].scratch = Number::constant(-1); }, "scratch");
  expect([](Program &p) { p.buffers[6].dtype = 99; }, "the type of a buffer");
  expect([](Program &p) { p.exported = "short"; }, "the model to export");
  expect([](Program &p) { p.exported = std::string("\3\0\0\0\0\0\0\0ab", 10); }, "the model to export");
  expect([](Program &p) { p.exported = std::string(8, '\xFF'); }, "the model to export");
}

/// The tiny program in two stages: its last launch runs over a size that is element 0 of input `pick`.
static Program stagedProgram() {
  Program p = tinyProgram();
  p.bound = {{"rows", "node 'row' (Gather)", 2, DS_INT64, 0}};
  p.stages = {{1, 2, 0, Number::constant(4)}, {2, 3, 2, Number::constant(4)}};
  p.launches[0].flops = p.launches[1].flops = Number::none();
  p.outputs[1].dimensions[0] = {Number::ofSymbol(1), "rows"};
  return p;
}

TEST(Damage, StagesKnowTheirSizes) {
  std::string error;
  EXPECT_FALSE(serializeMetadata(stagedProgram(), 0, 0, error).empty()) << error;
  auto expect = [](auto change, const char *part) { expectRefusal(stagedProgram(), change, part); };
  expect([](Program &p) { p.stages.clear(); }, "without stages");
  expect([](Program &p) { p.stages[0].firstLaunch = 1; }, "order of the stages");
  expect([](Program &p) { p.stages[0].symbolCount = 2; }, "order of the stages");
  expect([](Program &p) { p.stages[1].valueCount = 1; }, "order of the stages");
  expect([](Program &p) { p.stages[1].firstLaunch = 4; }, "extent of a stage");
  expect([](Program &p) { p.stages[1].valueCount = 4; }, "extent of a stage");
  expect([](Program &p) { p.stages.pop_back(); }, "no stage knows");
  expect([](Program &p) { p.stages[0].scratch = Number::ofSymbol(1); }, "scratch");
  expect([](Program &p) { p.launches[0].flops = Number::ofValue(2); }, "launch before its sizes");
  expect([](Program &p) { p.buffers[6].size = Number::ofSymbol(1); }, "temporary before its size");
  expect([](Program &p) { p.buffers[4] = Buffer::output(1, 0); }, "output before its size");
  expect([](Program &p) { p.inputs[1].dimensions[0].size = Number::ofSymbol(1); }, "not known on entry");
}

TEST(Damage, BoundSymbolsLieInBuffersThatAreWritten) {
  auto expect = [](auto change, const char *part) { expectRefusal(stagedProgram(), change, part); };
  expect([](Program &p) { p.bound[0].element = 1; }, "outside its buffer");
  expect([](Program &p) { p.bound[0].dtype = DS_INT32; }, "outside its buffer");
  expect([](Program &p) { p.bound[0].dtype = DS_FLOAT32; }, "buffer of a bound symbol");
  expect([](Program &p) { p.bound[0].buffer = 7; }, "buffer of a bound symbol");
  expect([](Program &p) { p.bound[0].buffer = 0; }, "outside its buffer"); // of float32, and of unknown size
  expect([](Program &p) { p.bound[0].buffer = 4; }, "outside its buffer"); // written in the second stage
  expect([](Program &p) { p.bound[0].name = std::string("a\0b", 3); }, "name of a bound symbol");
}

/// A branch of x, by the bool c, into two bodies that are the same, and a version for N=4.
static Program callingProgram() {
  Program p;
  p.triple = tinyProgram().triple;
  p.symbols = {{"N", "N", 1, 0}};
  p.inputs = {{"c", DS_BOOL, {}}, {"x", DS_FLOAT32, {{Number::ofSymbol(0), "N"}}}};
  p.outputs = {{"y", DS_FLOAT32, {{Number::ofSymbol(1), "M"}}}};
  p.bound = {{"M", "node 'if' (If)", 2, 0, 0}};
  p.stages = {{1, 0, 0}, {2, 0, 0}};
  p.buffers = {Buffer::input(0), Buffer::input(1), Buffer::output(0), Buffer::result(0)};
  Operand x = {1, p.inputs[1]}, made = {3, p.outputs[0]};
  Call call;
  call.kind = DS_CALL_BRANCH;
  call.bodies = {0, 0};
  call.condition = 0;
  call.split = 1;
  call.inputs = {x, x};
  call.outputs = {made};
  call.arguments = {{Number::ofSymbol(0)}, {Number::ofSymbol(0)}};
  call.source = "node 'if' (If)";
  p.calls = {call};

  Program body;
  body.symbols = {{"N", "N", DS_ARTIFACT_GIVEN, 0}};
  body.valueCount = 1;
  body.inputs = {p.inputs[1]};
  body.outputs = {{"y", DS_FLOAT32, {{Number::ofValue(0), "2*N"}}}};
  body.stages = {{1, 1, 0}};
  body.buffers = {Buffer::input(0), Buffer::output(0)};
  Program version = body;
  version.symbols = {};
  version.valueCount = 0;
  version.inputs = {p.inputs[0], {"x", DS_FLOAT32, {{Number::constant(4), "4"}}}};
  version.outputs[0].dimensions[0] = {Number::constant(8), "8"};
  version.stages = {{0, 0, 0}};
  p.bodies = {body, version};
  p.versions = {{1, {{0, 4}}}};
  return p;
}

/// What is wrong with a program and its bodies together; "" if nothing.
static std::string problemTogether(const Program &program) {
  std::string error;
  const std::vector<char> bytes = serializeMetadata(program, 0, 0, error);
  if (!error.empty())
    return error;
  ds_model *model = ds::runtime::newModel();
  ds_error reason = {};
  ds::runtime::chooseVariant(*model, bytes.data(), bytes.size(), ds::runtime::HostElfMachine, "m.so", &reason);
  ds_model_release(model);
  return reason.message;
}

TEST(Damage, CallsFitTheirBodies) {
  EXPECT_EQ(problemTogether(callingProgram()), "");
  auto expect = [](auto change, const char *part) {
    Program p = callingProgram();
    change(p);
    EXPECT_NE(problemTogether(p).find(part), std::string::npos) << part << ": " << problemTogether(p);
  };
  expect([](Program &p) { p.calls[0].kind = 9; }, "kind of a call");
  expect([](Program &p) { p.calls[0].stage = 1; }, "stage of a call");
  expect([](Program &p) { p.calls.push_back(p.calls[0]); }, "stage of a call");
  expect([](Program &p) { p.calls[0].split = 3; }, "operands of a call");
  expect([](Program &p) { p.calls[0].inputs[0].buffer = 4; }, "an operand of a call");
  expect([](Program &p) { p.calls[0].inputs[0].buffer = 3; }, "buffer of an operand"); // what it makes itself
  expect([](Program &p) { p.calls[0].outputs[0].buffer = 1; }, "buffer of an operand");
  expect([](Program &p) { p.calls[0].inputs[0].tensor.dimensions[0].size = Number::ofSymbol(1); },
         "an operand of a call");
  expect([](Program &p) { p.calls[0].arguments[0][0] = Number::ofSymbol(1); }, "before it is known");
  expect([](Program &p) { p.calls[0].condition = 1; }, "condition of a call");
  expect([](Program &p) { p.calls[0].condition = DS_ARTIFACT_NO_BUFFER; }, "condition of a call");
  expect([](Program &p) { p.calls[0].bodies[1] = 7; }, "body that does not exist");
  expect([](Program &p) { p.calls[0].arguments[1].clear(); }, "more or fewer symbols");
  expect([](Program &p) { p.calls[0].inputs[1].tensor.dtype = DS_INT32; }, "another type than its body takes");
  expect([](Program &p) { p.bodies[0].outputs[0].dtype = DS_INT32; }, "another type than its body makes");
  expect([](Program &p) { p.bodies[0].inputs.push_back(p.inputs[0]); }, "more or fewer operands");
  expect([](Program &p) { p.bound[0].element = 1; }, "bound symbol that no call makes");
  expect([](Program &p) { p.bound[0].buffer = 1; }, "bound symbol that no call makes");
  expect([](Program &p) { p.bodies[0].donations = {{0, 0, true}}; }, "a call with donations");
  expect([](Program &p) { p.bodies[0].bodies = {p.bodies[1]}; }, "a body in a body");
  expect([](Program &p) { p.calls.clear(); }, "that no call makes");
  // A loop: a number, the state, and a bool that says whether to go on.
  expect([](Program &p) { p.calls[0].kind = DS_CALL_LOOP, p.calls[0].bodies = {0}, p.calls[0].arguments.pop_back(); },
         "more or fewer operands");
}

/// Makes the checksums of the bodies right, too.
static void rehashAll(std::vector<char> &bytes) {
  for (size_t at = 8; at + sizeof(ds_artifact_header) <= bytes.size(); at += 8) {
    ds_artifact_header header;
    memcpy(&header, bytes.data() + at, sizeof header);
    if (memcmp(header.magic, DS_ARTIFACT_MAGIC, sizeof header.magic) || header.length > bytes.size() - at ||
        header.length < sizeof header)
      continue;
    std::vector<char> body(bytes.begin() + long(at), bytes.begin() + long(at + header.length));
    rehash(body);
    memcpy(bytes.data() + at, body.data(), body.size());
  }
  rehash(bytes);
}

TEST(Damage, RightChecksumsOfBodiesHelpNobody) {
  std::string error;
  const std::vector<char> good = serializeMetadata(callingProgram(), 0, 0, error);
  ASSERT_EQ(error, "");
  auto load = [](const std::vector<char> &bytes) {
    // A copy of its own, so that sanitizers see reads past the end.
    void *copy = aligned_alloc(8, (bytes.size() + 7) / 8 * 8);
    memcpy(copy, bytes.data(), bytes.size());
    ds_model *model = ds::runtime::newModel();
    ds_error reason = {};
    const ds_status status =
        ds::runtime::chooseVariant(*model, copy, bytes.size(), ds::runtime::HostElfMachine, "m.so", &reason);
    EXPECT_TRUE(status == DS_OK || *reason.message);
    ds_model_release(model);
    free(copy);
    return status;
  };
  EXPECT_EQ(load(good), DS_OK);
  for (size_t i = 0; i < good.size(); ++i)
    for (int change : {1, 2, 0x40, 0x80, 0xFF, 0x55}) {
      std::vector<char> bytes = good;
      bytes[i] = char(bytes[i] ^ change);
      rehashAll(bytes);
      load(bytes);
    }
  std::mt19937_64 random(2);
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> bytes = good;
    for (int changes = 1 + int(random() % 4); changes > 0; --changes) {
      const size_t at = random() % (bytes.size() / 4) * 4;
      const uint32_t values[] = {0, 1, 2, 0xFFFFFFFF, 0x80000000, uint32_t(random())};
      memcpy(bytes.data() + at, &values[random() % 6], 4);
    }
    rehashAll(bytes);
    load(bytes);
  }
}

TEST(Damage, VersionsFitTheProgram) {
  auto expect = [](auto change, const char *part) {
    Program p = callingProgram();
    change(p);
    EXPECT_NE(problemTogether(p).find(part), std::string::npos) << part << ": " << problemTogether(p);
  };
  expect([](Program &p) { p.versions[0].body = 2; }, "a version");
  expect([](Program &p) { p.versions[0].body = 0; }, "other inputs or outputs");
  expect([](Program &p) { p.versions[0].sizes[0].first = 1; }, "guard of a version");
  expect([](Program &p) { p.versions[0].sizes[0].second = -1; }, "guard of a version");
  expect(
      [](Program &p) {
        p.bodies[1].symbols = {{"N", "N", DS_ARTIFACT_GIVEN, 0}}, p.bodies[1].stages[0].symbolCount = 1;
      },
      "waits for a symbol");
  expect([](Program &p) { p.bodies[1].donations = {{1, 0, true}}; }, "other donations");
}

TEST(Damage, CallsOfCustomOperatorsAreChecked) {
  std::string error;
  EXPECT_FALSE(serializeMetadata(customProgram(), 0, 0, error).empty()) << error;
  auto expect = [](auto change, const char *part) { expectRefusal(customProgram(), change, part); };
  expect([](Program &p) { p.calls[0].kind = 9; }, "kind of a call");
  expect([](Program &p) { p.calls[0].stage = 1; }, "stage of a call");
  expect([](Program &p) { p.calls[0].name = std::string("a\0b", 3); }, "name of a custom operator");
  expect([](Program &p) { p.calls[0].domain = std::string("a\0b", 3); }, "name of a custom operator");
  expect([](Program &p) { p.calls[0].inputs[0].buffer = 4; }, "an operand of a call");
  expect([](Program &p) { p.calls[0].inputs[0].buffer = 3; }, "buffer of an operand"); // not made yet
  expect([](Program &p) { p.calls[0].outputs[0].buffer = 2; }, "buffer of an operand");
  expect([](Program &p) { p.calls[0].inputs[1].buffer = 0; }, "an operand of a call"); // absent, yet somewhere
  expect([](Program &p) { p.calls[0].inputs[1].tensor.dtype = DS_INT8; }, "an operand of a call");
  expect([](Program &p) { p.calls[0].inputs[1].tensor.dimensions = {{Number::constant(1), "1"}}; }, "an operand");
  expect([](Program &p) { p.calls[0].inputs[0].tensor.dimensions[0].size = Number::ofSymbol(1); }, "an operand");
  expect([](Program &p) { p.bound[0].buffer = 3; }, "bound symbol that no call makes"); // of the absent output
  expect([](Program &p) { p.bound[0].buffer = 1; }, "bound symbol that no call makes"); // of an input
  expect([](Program &p) { p.buffers.push_back(Buffer::result(1)); }, "buffer that no call makes");
}

TEST(Damage, AttributesAreChecked) {
  auto expect = [](auto change, const char *part) {
    expectRefusal(customProgram(), [&](Program &p) { change(p.calls[0].attributes); }, part);
  };
  using List = std::vector<Attribute>;
  expect([](List &a) { a[0].name = std::string("a\0b", 3); }, "name of an attribute");
  expect([](List &a) { a[0].kind = 0; }, "kind of an attribute");
  expect([](List &a) { a[0].kind = 8; }, "kind of an attribute");
  expect([](List &a) { a[0].ints.push_back(1); }, "kind of an attribute"); // one value, not two
  expect([](List &a) { a[2].strings.clear(); }, "kind of an attribute");
  expect([](List &a) { a[6].dtype = 99; }, "type of an attribute's tensor");
  expect([](List &a) { a[6].ints.assign(65, 1); }, "type of an attribute's tensor");
  expect([](List &a) { a[6].ints = {-2, -2}; }, "shape of an attribute's tensor");
  expect([](List &a) { a[6].ints = {int64_t(1) << 62, 16}; }, "shape of an attribute's tensor");
  expect([](List &a) { a[6].ints = {2, 3}; }, "outside the weights");
  expect([](List &a) { a[6].weight = 1; }, "weight that does not exist");
}

/// Changes words of the metadata behind the checksum's back, and asks all that was accepted about its calls.
TEST(Damage, RightChecksumsHelpNoCustomOperator) {
  std::string error;
  const std::vector<char> good = serializeMetadata(customProgram(), 1, 2, error);
  ASSERT_EQ(error, "");
  size_t accepted = 0;
  int64_t sum = 0;
  auto check = [&](std::vector<char> bytes) {
    rehash(bytes);
    char *copy = static_cast<char *>(malloc(bytes.size()));
    memcpy(copy, bytes.data(), bytes.size());
    Metadata meta;
    ds_error problem = {};
    if (!meta.parse(copy, bytes.size(), &problem)) {
      ++accepted;
      for (size_t i = 0; i < meta.Calls.size(); ++i) {
        const ds_artifact_call &c = meta.Calls[i];
        sum += int64_t(strlen(meta.text(c.source)));
        for (uint64_t o = 0; o < uint64_t(c.input_count) + c.output_count; ++o)
          if (const ds_artifact_operand &operand = meta.Operands[c.first_operand + o]; operand.dtype)
            sum += meta.Buffers[operand.buffer].kind;
        if (c.kind != DS_CALL_CUSTOM)
          continue;
        sum += int64_t(strlen(meta.text(c.name)) + strlen(meta.text(c.domain)));
        for (uint64_t n = 0; n < c.attribute_count; ++n) {
          const ds_artifact_attribute &a = meta.Attributes[c.first_attribute + n];
          const unsigned char *values = meta.attributeBytes(a.offset);
          if (a.kind == DS_ATTRIBUTE_STRING || a.kind == DS_ATTRIBUTE_STRINGS)
            for (uint64_t s = 0; s < a.count; ++s) {
              const ds_artifact_bytes &text = reinterpret_cast<const ds_artifact_bytes *>(values)[s];
              sum += int64_t(strlen(reinterpret_cast<const char *>(meta.attributeBytes(text.offset)))) <=
                     int64_t(text.length);
            }
          else
            for (uint64_t v = 0; v < a.count * (a.kind == DS_ATTRIBUTE_FLOAT || a.kind == DS_ATTRIBUTE_FLOATS ? 4 : 8);
                 ++v)
              sum += values[v];
        }
      }
    }
    free(copy);
  };
  for (size_t i = 0; i < good.size(); ++i)
    for (int change : {1, 0x40, 0x80, 0xFF}) {
      std::vector<char> bytes = good;
      bytes[i] = char(bytes[i] ^ change);
      check(bytes);
    }
  std::mt19937_64 random(2);
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> bytes = good;
    for (int changes = 1 + int(random() % 4); changes > 0; --changes) {
      const size_t at = random() % (bytes.size() / 4) * 4;
      const uint32_t values[] = {0, 1, 0xFFFFFFFF, 0x80000000, uint32_t(random()), uint32_t(bytes.size())};
      memcpy(bytes.data() + at, &values[random() % 6], 4);
    }
    check(bytes);
  }
  EXPECT_GT(accepted, 0u); // names and sizes may be others
  EXPECT_NE(sum, 0);
}

//===----------------------------------------------------------------------===//
// Whole files
//===----------------------------------------------------------------------===//

namespace {

std::string loadProblem(const std::string &path) {
  ds_model *model = nullptr;
  ds_error error = {};
  if (ds_model_load(path.c_str(), &model, &error))
    return error.message;
  ds_model_release(model);
  return "";
}

} // namespace

TEST(Damage, TruncatedFilesAreRefused) {
  TestFolder folder;
  const std::string good = readFile(linkTiny(folder.file("m.so"), EmitKind::SharedLibrary)),
                    path = folder.file("bad.so");
  for (size_t size = 0; size < good.size(); size += size < 200 || size > good.size() - 200 ? 1 : 37) {
    writeFile(path, std::string_view(good).substr(0, size));
    EXPECT_NE(loadProblem(path).find(path), std::string::npos);
  }
}

TEST(Damage, SectionTablesThatLieAreRefused) {
  TestFolder folder;
  const std::string path = linkTiny(folder.file("m.so"), EmitKind::SharedLibrary), good = readFile(path);
  Elf64_Ehdr header;
  memcpy(&header, good.data(), sizeof header);
  const int descriptor = open(path.c_str(), O_RDWR);
  auto sections = [&] {
    ds::runtime::ElfSections found;
    ds_error error = {};
    const ds_status status = findSections(descriptor, path.c_str(), found, &error);
    for (const ds::runtime::FileRange *range : {&found.Metadata, &found.Weights})
      EXPECT_TRUE(range->Offset <= good.size() && range->Size <= good.size() - range->Offset);
    return status;
  };
  ASSERT_EQ(sections(), DS_OK);
  std::vector<size_t> places;
  for (size_t i = 0; i < sizeof header; ++i)
    places.push_back(i);
  for (size_t i = header.e_shoff; i < good.size(); ++i)
    places.push_back(i);
  for (size_t place : places)
    for (int change : {1, 2, 0x80, 0xFF}) {
      const char byte = char(good[place] ^ change);
      ASSERT_EQ(pwrite(descriptor, &byte, 1, off_t(place)), 1);
      sections();
      ASSERT_EQ(pwrite(descriptor, &good[place], 1, off_t(place)), 1);
    }
  EXPECT_EQ(sections(), DS_OK);
  close(descriptor);
}

TEST(Damage, DamagedWeightsAreFoundOnDemand) {
  TestFolder folder;
  const std::string path = linkTiny(folder.file("m.so"), EmitKind::SharedLibrary);
  std::string bytes = readFile(path);
  const size_t at = bytes.find(std::string(reinterpret_cast<const char *>(tinyWeights), sizeof tinyWeights));
  bytes[at + 2] ^= 1;
  writeFile(path, bytes);
  ds_model *model = nullptr;
  ds_error error = {};
  ASSERT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
  EXPECT_EQ(ds_model_verify(model, &error), DS_BAD_ARTIFACT);
  EXPECT_NE(std::string(error.message).find("weights are damaged"), std::string::npos);
  ds_model_release(model);
}

TEST(Damage, NoModelAtAll) {
  TestFolder folder;
  writeFile(folder.file("text"), "hello");
  EXPECT_NE(loadProblem(folder.file("text")).find("not a compiled model"), std::string::npos);
  EXPECT_NE(loadProblem(folder.file("nothing")).find("No such file"), std::string::npos);
  EXPECT_NE(loadProblem(folder.file("")).find("not a regular file"), std::string::npos);
  EXPECT_NE(loadProblem("/dev/zero").find("not a regular file"), std::string::npos);
  EXPECT_NE(loadProblem("/proc/self/exe").find("no section .ds.meta"), std::string::npos);
}

TEST(Damage, OtherMachinesAreRefusedPolitely) {
  TestFolder folder;
  Program program = tinyProgram();
  program.features = {"avx9000", program.features.empty() ? "neon" : "sse2", "amx9"};
  program.cpu = "futurelake";
  std::string problem = loadProblem(linkTiny(folder.file("a.so"), EmitKind::SharedLibrary, program));
  EXPECT_NE(problem.find("'futurelake' and needs features that this one lacks (avx9000, amx9)"), std::string::npos)
      << problem;
  program = tinyProgram();
  program.triple = "sparc-sun-solaris";
  problem = loadProblem(linkTiny(folder.file("b.so"), EmitKind::SharedLibrary, program));
  EXPECT_NE(problem.find("compiled for 'sparc-sun-solaris'"), std::string::npos) << problem;
}

TEST(Damage, DamagedCodeIsNotLoaded) {
  TestFolder folder;
  const std::string good = readFile(linkTiny(folder.file("tiny.so"), EmitKind::SharedLibrary));
  // The weights begin at a page; between the linked file and them is a gap of zeros.
  const size_t end = good.find_last_not_of('\0', 4095);
  for (size_t at = sizeof(Elf64_Ehdr); at <= end; at += 61) {
    std::string bytes = good;
    bytes[at] = char(bytes[at] ^ 1);
    const std::string path = folder.file("damaged" + std::to_string(at) + ".so");
    writeFile(path, bytes);
    ds_model *model = nullptr;
    ds_error error = {};
    EXPECT_EQ(ds_model_load(path.c_str(), &model, &error), DS_BAD_ARTIFACT) << at;
    EXPECT_NE(std::string(error.message).find("is damaged (its checksum does not match)"), std::string::npos)
        << at << ": " << error.message;
    ds_model_release(model);
  }
}
