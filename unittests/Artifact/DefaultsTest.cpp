//===- DefaultsTest.cpp - Inputs that a run may leave out -------------------===//
#include "CpuFeatures.h"
#include "Model.h"
#include "Tiny.h"
#include "ds_hash.h"
#include "ds_runtime.h"
#include <cstring>
#include <gmock/gmock.h>

using namespace ds::artifact;
using namespace ds::test;
using testing::HasSubstr;

namespace {

/// The tiny program where `b` is two zeros unless a run gives it, and `pick` is 2; a version for runs that leave both
/// out.
Program defaultsProgram() {
  static const float b[2] = {0.5f, 0.25f};
  static const int64_t pick = 2;
  Program p = tinyProgram();
  p.inputs[1].dimensions[0] = {Number::constant(2), "2"};
  p.weights.push_back({sizeof b, b, nullptr});
  p.weights.push_back({sizeof pick, &pick, nullptr});
  Program version = p;
  version.weights.clear();
  version.features.clear();
  version.properties.clear();
  version.triple = version.cpu = version.compiler = "";
  p.bodies = {version};
  p.versions = {{0, {}, {1, 2}}};
  p.defaults = {{1, {2}, 1}, {2, {}, 2}};
  p.fixedInputs = {"scale"};
  return p;
}

class Defaults : public testing::Test {
protected:
  void SetUp() override { open(defaultsProgram()); }
  void open(const Program &program, uint32_t flags = 0) {
    TearDown();
    const std::string path = folder.file("tiny.so");
    ASSERT_EQ(linkTo(path, {{DS_TINY_DEFAULTS_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary), "");
    ASSERT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
    ds_session_options options = {};
    options.threads = 1;
    options.flags = flags;
    ASSERT_EQ(ds_session_create(model, &options, &session, &error), DS_OK) << error.message;
  }
  void TearDown() override {
    ds_session_destroy(session);
    ds_model_release(model);
    session = nullptr;
    model = nullptr;
  }
  ds_status run(const ds_tensor &second, const ds_tensor &third) {
    const ds_tensor inputs[3] = {{a, DS_FLOAT32, 2, shapeA, nullptr}, second, third};
    outputs[0] = outputs[1] = {};
    error.message[0] = 0;
    return ds_session_run(session, inputs, 3, outputs, 2, &error);
  }
  float sum(int i) const { return static_cast<float *>(outputs[0].data)[i]; }
  float row(int i) const { return static_cast<float *>(outputs[1].data)[i]; }
  ds_tensor own() { return {b, DS_FLOAT32, 1, shapeA, nullptr}; }
  ds_tensor which() { return {&pick, DS_INT64, 0, nullptr, nullptr}; }

  TestFolder folder;
  ds_model *model = nullptr;
  ds_session *session = nullptr;
  ds_error error = {};
  ds_tensor outputs[2] = {};
  float a[8] = {1, 1, 1, 1, 2, 2, 2, 2}, b[2] = {7, 8}; // a row adds 1111 or 2222
  int64_t pick = 1;
  const int64_t shapeA[2] = {2, 4};
};

} // namespace

TEST_F(Defaults, AreTold) {
  EXPECT_EQ(ds_model_input_is_optional(model, 0), 0);
  EXPECT_EQ(ds_model_input_is_optional(model, 1), 1);
  EXPECT_EQ(ds_model_input_is_optional(model, 2), 1);
  EXPECT_EQ(ds_model_input_is_optional(model, 3), 0);
  EXPECT_EQ(ds_model_input_is_optional(nullptr, 0), 0);
  ds_tensor value;
  ASSERT_EQ(ds_model_input_default(model, 1, &value), DS_OK);
  EXPECT_EQ(value.dtype, DS_FLOAT32);
  EXPECT_EQ(value.rank, 1);
  EXPECT_EQ(value.shape[0], 2);
  EXPECT_EQ(static_cast<float *>(value.data)[1], 0.25f);
  EXPECT_EQ(ds_model_input_default(model, 0, &value), DS_BAD_ARGUMENT);
  EXPECT_EQ(ds_model_input_default(model, 1, nullptr), DS_BAD_ARGUMENT);
  EXPECT_STREQ(ds_model_fixed_input(model, 0), "scale");
  EXPECT_EQ(ds_model_fixed_input(model, 1), nullptr);
}

TEST_F(Defaults, TheVersionRunsWhereAllAreLeftOut) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(run({}, {}), DS_OK) << error.message;
    EXPECT_EQ(sum(0), 1111.5f);
    EXPECT_EQ(row(3), -1);
    ASSERT_EQ(run(own(), {}), DS_OK) << error.message; // `pick` is its default in the general program
    EXPECT_EQ(sum(1), 2230);
    EXPECT_EQ(row(3), 300);
    ASSERT_EQ(run({}, which()), DS_OK) << error.message;
    EXPECT_EQ(sum(1), 2222.25f);
    EXPECT_EQ(row(3), 30);
    ASSERT_EQ(run(own(), which()), DS_OK) << error.message;
    EXPECT_EQ(sum(0), 1118);
    EXPECT_EQ(row(3), 30);
  }
}

TEST_F(Defaults, ShapesFollowFromThemToo) {
  const ds_tensor inputs[3] = {{nullptr, DS_FLOAT32, 2, shapeA, nullptr}, {}, {}};
  ASSERT_EQ(ds_session_infer(session, inputs, 3, outputs, 2, &error), DS_OK) << error.message;
  EXPECT_EQ(outputs[1].shape[0], 5);
}

TEST_F(Defaults, WithoutAVersionTheProgramTakesThem) {
  Program program = defaultsProgram();
  program.versions.clear();
  open(program);
  ASSERT_EQ(run({}, {}), DS_OK) << error.message;
  EXPECT_EQ(sum(0), 1111.5f);
  EXPECT_EQ(row(3), 300);
}

TEST_F(Defaults, AreGuarded) {
  open(defaultsProgram(), DS_SESSION_GUARD);
  ASSERT_EQ(run({}, which()), DS_OK) << error.message;
  EXPECT_EQ(sum(1), 2222.25f);
  ASSERT_EQ(run({}, {}), DS_OK) << error.message;
  EXPECT_EQ(row(3), -1);
}

TEST_F(Defaults, OthersMustBeGiven) {
  const ds_tensor inputs[3] = {};
  EXPECT_EQ(ds_session_run(session, inputs, 3, nullptr, 0, &error), DS_BAD_INPUT);
  EXPECT_THAT(error.message, HasSubstr("input 'a' should be float32"));
  EXPECT_EQ(ds_session_run(session, inputs, 2, nullptr, 0, &error), DS_BAD_INPUT);
  EXPECT_THAT(error.message, HasSubstr("3 inputs, 2 given; 'scale' is fixed in this program"));
  // A default that does not fit the sizes of this run.
  const int64_t three[2] = {3, 4};
  float more[12] = {};
  const ds_tensor wrong[3] = {{more, DS_FLOAT32, 2, three, nullptr}, {more, DS_FLOAT32, 1, three, nullptr}, {}};
  EXPECT_EQ(ds_session_run(session, wrong, 3, nullptr, 0, &error), DS_BAD_INPUT);
  EXPECT_THAT(error.message, HasSubstr("should have 2 in dimension 0"));
}

TEST_F(Defaults, AFeedBeginsWithThem) {
  ASSERT_EQ(ds_session_feed(session, 0, 1, &error), DS_OK) << error.message;
  ASSERT_EQ(run({}, {}), DS_OK) << error.message;
  EXPECT_EQ(sum(0), 1111.5f);
  ASSERT_EQ(run({}, {}), DS_OK) << error.message;
  EXPECT_EQ(sum(0), 2222.5f);
  EXPECT_EQ(row(3), 300); // fed is given
  // After a run that failed once it had begun there is no last output, and no silent beginning either.
  pick = 9;
  EXPECT_EQ(run({}, which()), DS_BAD_INPUT);
  EXPECT_EQ(run({}, {}), DS_BAD_INPUT);
  EXPECT_THAT(error.message, HasSubstr("there is none yet"));
}

TEST(DamagedDefaults, AreRefused) {
  auto expect = [](auto change, const char *part) {
    Program program = defaultsProgram();
    change(program);
    std::string error;
    EXPECT_TRUE(serializeMetadata(program, 0, 0, error).empty());
    EXPECT_NE(error.find(part), std::string::npos) << part << ": " << error;
  };
  std::string error;
  EXPECT_FALSE(serializeMetadata(defaultsProgram(), 0, 0, error).empty()) << error;
  expect([](Program &p) { p.defaults[0].input = 3; }, "the default of an input that does not exist");
  expect([](Program &p) { p.defaults[1] = p.defaults[0]; }, "an input with two defaults");
  expect([](Program &p) { p.defaults[0].weight = 9; }, "a default of a weight that does not exist");
  expect([](Program &p) { p.defaults[0].weight = 0; }, "a default of another size than its input"); // 16 bytes
  expect([](Program &p) { p.defaults[0].shape = {3}; }, "the dimensions of a default");
  expect([](Program &p) { p.defaults[1].weight = 0; }, "a default of another size than its input");
  expect([](Program &p) { p.versions[0].leftOut = {0}; }, "the guard of a version"); // which has no default
  expect([](Program &p) { p.versions[0].leftOut = {7}; }, "the guard of a version");
  expect([](Program &p) { p.defaults.pop_back(); }, "the guard of a version");
  expect([](Program &p) { p.versions[0].sizes = {{1, 4}}; }, "the guard of a version");
  expect([](Program &p) { p.bodies[0].defaults = p.defaults; }, "a body with defaults");
  expect([](Program &p) { p.fixedInputs = {std::string("a\0b", 3)}; }, "the name of an input");
}

TEST(DamagedDefaults, StringsLieInTheMetadata) {
  Program p = defaultsProgram();
  p.inputs[1].dtype = p.bodies[0].inputs[1].dtype = DS_STRING;
  p.defaults[0] = {1, {2}, 0, {"one", "two"}};
  std::string error;
  const std::vector<char> good = serializeMetadata(p, 0, 0, error);
  ASSERT_EQ(error, "");
  p.defaults[0].strings.pop_back();
  EXPECT_TRUE(serializeMetadata(p, 0, 0, error).empty());
  EXPECT_THAT(error, HasSubstr("a default of another size than its input"));
}

/// Whatever a byte of it is, with the right checksum: no read outside of the metadata (of the sanitizers' notice).
TEST(DamagedDefaults, RightChecksumsHelpNobody) {
  Program strings = defaultsProgram();
  strings.inputs[1].dtype = strings.bodies[0].inputs[1].dtype = DS_STRING;
  strings.defaults[0] = {1, {2}, 0, {"one", "two"}};
  for (const Program &program : {defaultsProgram(), strings}) {
    std::string text;
    const std::vector<char> good = serializeMetadata(program, 0, 0, text);
    ASSERT_EQ(text, "");
    unsigned refused = 0;
    for (size_t i = 0; i < good.size(); ++i)
      for (int change : {1, 0x40, 0x80, 0xFF}) {
        std::vector<char> bytes = good;
        bytes[i] = char(bytes[i] ^ change);
        ds_artifact_header header;
        memcpy(&header, bytes.data(), sizeof header);
        if (header.length > bytes.size())
          continue;
        header.hash = 0;
        memcpy(bytes.data(), &header, sizeof header);
        header.hash = ds_hash_bytes(bytes.data(), header.length);
        memcpy(bytes.data(), &header, sizeof header);
        ds_model *model = ds::runtime::newModel();
        ds_error error = {};
        refused += ds::runtime::chooseVariant(*model, bytes.data(), bytes.size(), ds::runtime::HostElfMachine, "m.so",
                                              &error) != DS_OK;
        ds_model_release(model);
      }
    EXPECT_GT(refused, 100u);
  }
}
