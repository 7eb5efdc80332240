//===- VariantsTest.cpp - One program for several CPUs ----------------------===//
#include "Metadata.h"
#include "Tiny.h"
#include "ds_hash.h"
#include "ds_runtime.h"
#include <cstring>

using namespace ds::artifact;
using namespace ds::test;

namespace {

/// The tiny program for two CPUs; the first one has features that no machine has, where `future` is set.
std::vector<Program> twoPrograms(bool future = false) {
  std::vector<Program> programs = {tinyProgram(), tinyProgram()};
  programs[0].cpu = "newer";
  programs[1].cpu = "older";
  if (future)
    programs[0].features.push_back("avx9000");
  programs[1].weights[0].data = tinyWeights;
  for (Program &program : programs)
    program.weights[0].digest = "the same";
  return programs;
}

std::string linkVariants(const std::string &path, std::vector<Program> programs,
                         const char *object = DS_TINY_VARIANTS_OBJECT, EmitKind kind = EmitKind::SharedLibrary) {
  shareWeights(programs);
  EXPECT_EQ(linkTo(path, {{object, {}}}, programs, kind), "");
  return path;
}

std::string problem(const std::string &path, ds_status wanted) {
  ds_model *model = nullptr;
  ds_error error = {};
  EXPECT_EQ(ds_model_load(path.c_str(), &model, &error), wanted) << error.message;
  ds_model_release(model);
  return error.message;
}

/// The CPU that was chosen, and all of them.
using Cpus = std::pair<std::string, std::string>;
Cpus cpus(const std::string &path) {
  ds_model *model = nullptr;
  ds_error error = {};
  EXPECT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
  if (!model)
    return {};
  ds_model_summary summary;
  ds_model_describe(model, &summary);
  Cpus result = {summary.cpu, summary.cpus};
  EXPECT_EQ(ds_model_verify(model, &error), DS_OK) << error.message;
  ds_model_release(model);
  return result;
}

} // namespace

TEST(Variants, TheFirstThatTheMachineCanRunIsChosen) {
  TestFolder folder;
  EXPECT_EQ(cpus(linkVariants(folder.file("a.so"), twoPrograms())), Cpus("newer", "newer, older"));
  EXPECT_EQ(cpus(linkVariants(folder.file("b.so"), twoPrograms(true))), Cpus("older", "newer, older"));
}

TEST(Variants, WhatEachLacksIsNamed) {
  TestFolder folder;
  std::vector<Program> programs = twoPrograms(true);
  programs[1].features.push_back("sse9");
  EXPECT_NE(
      problem(linkVariants(folder.file("a.so"), programs), DS_UNSUPPORTED)
          .find("compiled for 2 CPUs, and this one lacks features that each needs ('newer': avx9000; 'older': sse9)"),
      std::string::npos);
  for (Program &program : programs)
    program.triple = "sparc-sun-solaris";
  EXPECT_NE(problem(linkVariants(folder.file("b.so"), programs), DS_UNSUPPORTED).find("'sparc-sun-solaris'"),
            std::string::npos);
}

TEST(Variants, EqualWeightsAreStoredOnce) {
  std::vector<Program> programs = twoPrograms();
  const float others[4] = {4, 3, 2, 1};
  for (Program &program : programs)
    program.buffers.push_back(Buffer::weight(1));
  programs[0].weights.push_back({sizeof others, others, nullptr, "a", 0, {}, "one"});
  programs[1].weights.insert(programs[1].weights.begin(), {sizeof others, tinyWeights, nullptr, "b", 0, {}, "two"});
  shareWeights(programs);
  ASSERT_EQ(programs[0].weights.size(), 3u);
  EXPECT_TRUE(programs[1].weights.empty());
  EXPECT_EQ(programs[0].buffers[5].index, 0u);
  EXPECT_EQ(programs[0].buffers[7].index, 1u);
  EXPECT_EQ(programs[1].buffers[5].index, 2u); // "two" came first there
  EXPECT_EQ(programs[1].buffers[7].index, 0u);
}

TEST(Variants, WeightsThatDifferInTypeOrShapeAloneAreTwo) {
  std::vector<Program> programs = twoPrograms();
  programs[1].weights[0].dtype = programs[0].weights[0].dtype + 1;
  shareWeights(programs);
  EXPECT_EQ(programs[0].weights.size(), 2u);
  programs = twoPrograms();
  programs[1].weights[0].shape = {1, 4};
  shareWeights(programs);
  EXPECT_EQ(programs[0].weights.size(), 2u);
}

TEST(Variants, AttributesOfOperatorsKeepTheirTensors) {
  std::vector<Program> programs = twoPrograms();
  const float others[4] = {4, 3, 2, 1};
  // The second variant has its weights the other way round.
  programs[0].weights.push_back({sizeof others, others, nullptr, "a", 0, {}, "other"});
  programs[1].weights.insert(programs[1].weights.begin(), {sizeof others, others, nullptr, "a", 0, {}, "other"});
  for (unsigned i = 0; i < 2; ++i) {
    Call call;
    call.attributes = {{"t", DS_ATTRIBUTE_TENSOR}, {"n", DS_ATTRIBUTE_INT}};
    call.attributes[0].weight = i == 0 ? 1 : 0; // "other"
    programs[i].calls.push_back(call);
    programs[i].bodies.push_back(programs[i]);
    programs[i].bodies[0].weights.clear();
  }
  shareWeights(programs);
  ASSERT_EQ(programs[0].weights.size(), 2u);
  for (const Program &program : programs) {
    EXPECT_EQ(program.calls[0].attributes[0].weight, 1u);
    EXPECT_EQ(program.bodies[0].calls[0].attributes[0].weight, 1u);
    EXPECT_EQ(program.calls[0].attributes[1].weight, 0u);
  }
}

TEST(Variants, WeightsWithoutADigestAreNotCompared) {
  std::vector<Program> programs = twoPrograms();
  for (Program &program : programs)
    program.weights[0].digest.clear();
  shareWeights(programs);
  EXPECT_EQ(programs[0].weights.size(), 2u);
}

TEST(Variants, CodeAndMetadataMustHaveAsMany) {
  TestFolder folder;
  EXPECT_NE(problem(linkVariants(folder.file("a.so"), twoPrograms(), DS_TINY_OBJECT), DS_BAD_ARTIFACT)
                .find("does not fit its metadata"),
            std::string::npos);
  std::vector<Program> one = {tinyProgram()};
  EXPECT_NE(problem(linkVariants(folder.file("b.so"), one), DS_BAD_ARTIFACT).find("does not fit its metadata"),
            std::string::npos);
}

TEST(Variants, DamageOfAnyVariantIsFound) {
  TestFolder folder;
  for (bool future : {false, true}) {
    const std::string good = readFile(linkVariants(folder.file("m.so"), twoPrograms(future)));
    const size_t first = good.find(DS_ARTIFACT_MAGIC), second = good.find(DS_ARTIFACT_MAGIC, first + 1);
    ASSERT_NE(second, std::string::npos);
    ds_artifact_header header;
    memcpy(&header, good.data() + second, sizeof header);
    ASSERT_EQ(good.find(DS_ARTIFACT_MAGIC, second + 1), std::string::npos);
    const std::string path = folder.file("bad.so");
    for (size_t at = first; at < second + header.length; at += 7) {
      std::string bytes = good;
      bytes[at] = char(bytes[at] ^ 0x10);
      writeFile(path, bytes);
      EXPECT_NE(problem(path, DS_BAD_ARTIFACT), "") << at;
    }
  }
}

TEST(Variants, OfDifferentProgramsAreRefused) {
  std::string error;
  const std::vector<Program> programs = twoPrograms();
  TestFolder folder;
  const std::string path = linkVariants(folder.file("m.so"), programs);
  std::string bytes = readFile(path);
  const size_t second = bytes.find(DS_ARTIFACT_MAGIC, bytes.find(DS_ARTIFACT_MAGIC) + 1);
  ds_artifact_header header;
  memcpy(&header, bytes.data() + second, sizeof header);
  // Another id of the code, with the checksum made right again.
  ds::runtime::Metadata meta;
  std::vector<uint64_t> copy(header.length / 8);
  memcpy(copy.data(), bytes.data() + second, header.length);
  ds_error problemOfParse;
  ASSERT_EQ(meta.parse(copy.data(), header.length, &problemOfParse), DS_OK);
  const size_t at =
      size_t(reinterpret_cast<const char *>(&meta.Program->code_id) - reinterpret_cast<char *>(copy.data()));
  reinterpret_cast<char *>(copy.data())[at] ^= 1;
  header.hash = 0;
  memcpy(copy.data(), &header, sizeof header);
  header.hash = ds_hash_bytes(copy.data(), header.length);
  memcpy(copy.data(), &header, sizeof header);
  bytes.replace(second, header.length, reinterpret_cast<char *>(copy.data()), header.length);
  writeFile(folder.file("other.so"), bytes);
  EXPECT_NE(problem(folder.file("other.so"), DS_BAD_ARTIFACT).find("variants of different programs"),
            std::string::npos);
}
