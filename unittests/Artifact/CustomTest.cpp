//===- CustomTest.cpp - Operators that the program brings along --------------===//
#include "Custom.h"
#include "ds_runtime.hpp"
#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

using namespace ds::artifact;
using namespace ds::test;

namespace {

/// What the operator of these tests does: repeats its input `times` times, or what a test asks for instead.
struct Behaviour {
  int64_t size = -2; // to tell instead of the right one
  int32_t inferStatus = DS_OK, runStatus = DS_OK;
  const char *message = "";
  std::atomic<int> infers{0}, runs{0};
};

int32_t fail(int32_t status, const Behaviour &b, ds_error *error) {
  snprintf(error->message, sizeof error->message, "%s", b.message);
  return status;
}

int32_t infer(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t inputCount,
              ds_custom_output *outputs, size_t outputCount, ds_error *error) {
  Behaviour &b = *static_cast<Behaviour *>(context);
  ++b.infers;
  EXPECT_EQ(inputCount, 2u);
  EXPECT_EQ(inputs[1].dtype, 0);
  EXPECT_EQ(outputCount, 2u);
  EXPECT_EQ(outputs[0].dtype, DS_FLOAT32);
  EXPECT_EQ(outputs[0].rank, 1);
  EXPECT_EQ(outputs[0].shape[0], -1);
  EXPECT_EQ(outputs[1].dtype, 0);
  if (b.inferStatus)
    return fail(b.inferStatus, b, error);
  outputs[0].shape[0] = b.size != -2 ? b.size : inputs[0].shape[0] * ds_custom_int(node, "times", 1);
  return DS_OK;
}

struct Repeat {
  const float *from;
  float *to;
  int64_t length;
};

int32_t repeat(void *argument, int64_t begin, int64_t end) {
  const Repeat &r = *static_cast<Repeat *>(argument);
  for (int64_t i = begin; i < end; ++i)
    r.to[i] = r.from[i % r.length];
  return 0;
}

int32_t run(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t, const ds_tensor *outputs, size_t,
            ds_error *error) {
  Behaviour &b = *static_cast<Behaviour *>(context);
  ++b.runs;
  if (b.runStatus)
    return fail(b.runStatus, b, error);
  EXPECT_EQ(outputs[1].dtype, 0);
  Repeat r = {static_cast<const float *>(inputs[0].data), static_cast<float *>(outputs[0].data), inputs[0].shape[0]};
  EXPECT_EQ(ds_custom_parallel(node, outputs[0].shape[0], 1, repeat, &r), 0);
  return DS_OK;
}

std::string linkCustom(const std::string &path, const Program &program = customProgram()) {
  EXPECT_EQ(linkTo(path, {{DS_CUSTOM_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary), "");
  return path;
}

class Custom : public testing::Test {
protected:
  void SetUp() override { load(customProgram()); }
  void TearDown() override {
    ds_session_destroy(session);
    ds_model_release(model);
  }
  void load(const Program &program) {
    ds_session_destroy(session);
    ds_model_release(model);
    session = nullptr;
    ASSERT_EQ(
        ds_model_load(linkCustom(folder.file("m" + std::to_string(++loads) + ".so"), program).c_str(), &model, &error),
        DS_OK)
        << error.message;
  }
  ds_status open(std::vector<ds_custom_op> ops, uint32_t threads = 1) {
    ds_session_destroy(session);
    session = nullptr;
    ds_session_options options = {};
    options.threads = threads;
    options.custom_ops = ops.data();
    options.custom_op_count = ops.size();
    error = {};
    return ds_session_create(model, &options, &session, &error);
  }
  ds_custom_op op() { return {"com.example", "Stretch", &behaviour, infer, run}; }
  ds_status runOn(int64_t n) {
    std::vector<float> x;
    for (int64_t i = 0; i < n; ++i)
      x.push_back(float(i));
    const ds_tensor in = {x.data(), DS_FLOAT32, 1, &n, nullptr};
    out = {};
    error = {};
    return ds_session_run(session, &in, 1, &out, 1, &error);
  }
  void expectRun(int64_t n, int64_t times = 3) {
    ASSERT_EQ(runOn(n), DS_OK) << error.message;
    ASSERT_EQ(out.shape[0], n * times);
    for (int64_t i = 0; i < n * times; ++i)
      ASSERT_EQ(static_cast<float *>(out.data)[i], float(2 * (i % n) + 1));
  }
  void expectProblem(ds_status status, const char *part) {
    EXPECT_EQ(runOn(4), status);
    EXPECT_NE(std::string(error.message).find(part), std::string::npos) << error.message;
    EXPECT_EQ(std::string(error.message).find("node 's' (com.example.Stretch): "), 0u) << error.message;
  }

  TestFolder folder;
  int loads = 0;
  ds_model *model = nullptr;
  ds_session *session = nullptr;
  ds_error error = {};
  ds_tensor out = {};
  Behaviour behaviour;
};

} // namespace

TEST_F(Custom, RunsBetweenKernelsAtAnySizeAndThreadCount) {
  for (uint32_t threads : {1u, 2u, 5u}) {
    ASSERT_EQ(open({op()}, threads), DS_OK) << error.message;
    for (int64_t n : {4, 1, 0, 1000, 4, 7, 8, 9, 10, 4})
      expectRun(n);
  }
  EXPECT_EQ(behaviour.infers, 30);
  EXPECT_EQ(behaviour.runs, 30);
}

TEST_F(Custom, ProfilesTimeOperators) {
  ASSERT_EQ(open({op()}), DS_OK) << error.message;
  ds_profile_entry entry;
  EXPECT_EQ(ds_session_profile_entry(session, 0, &entry), DS_BAD_ARGUMENT);
  ASSERT_EQ(ds_session_profile(session, 1, &error), DS_OK);
  expectRun(1 << 12);
  expectRun(1 << 12);
  ASSERT_EQ(ds_session_profile(session, 0, &error), DS_OK);
  expectRun(1 << 12);
  size_t operators = 0, entries = 0;
  for (; !ds_session_profile_entry(session, entries, &entry); ++entries) {
    EXPECT_EQ(entry.calls, 2u) << entry.source;
    EXPECT_GT(entry.seconds, 0) << entry.source;
    if (std::string(entry.kernel) == "Stretch") {
      ++operators;
      EXPECT_STREQ(entry.source, "node 's' (com.example.Stretch)");
    }
  }
  EXPECT_EQ(operators, 1u);
  EXPECT_GT(entries, 1u); // kernels too
}

TEST_F(Custom, MissingOperatorsAreNamed) {
  const ds_custom_op other = {"com.example", "Shrink", nullptr, infer, run},
                     elsewhere = {"org.example", "Stretch", nullptr, infer, run};
  for (const std::vector<ds_custom_op> &ops : {std::vector<ds_custom_op>{}, {other, elsewhere}}) {
    EXPECT_EQ(open(ops), DS_UNSUPPORTED);
    const std::string said = error.message;
    EXPECT_NE(said.find("node 's' (com.example.Stretch)"), std::string::npos) << said;
    EXPECT_NE(said.find("the custom operator 'Stretch' of 'com.example'"), std::string::npos) << said;
    EXPECT_NE(said.find("custom_ops"), std::string::npos) << said;
  }
  EXPECT_EQ(ds_session_create(model, nullptr, &session, &error), DS_UNSUPPORTED);
}

TEST_F(Custom, ModelsTellWhatTheyNeed) {
  const char *domain = nullptr, *name = nullptr;
  ASSERT_EQ(ds_model_custom_op(model, 0, &domain, &name), DS_OK);
  EXPECT_STREQ(domain, "com.example");
  EXPECT_STREQ(name, "Stretch");
  EXPECT_EQ(ds_model_custom_op(model, 1, &domain, &name), DS_BAD_ARGUMENT);
}

TEST_F(Custom, BadRegistrationsAreRefused) {
  auto expect = [&](const std::vector<ds_custom_op> &ops, const char *part) {
    EXPECT_EQ(open(ops), DS_BAD_ARGUMENT);
    EXPECT_NE(std::string(error.message).find(part), std::string::npos) << error.message;
  };
  ds_custom_op bad = op();
  bad.run = nullptr;
  expect({bad}, "com.example.Stretch lacks its function 'run'");
  expect({op(), op()}, "given twice");
  bad = op();
  bad.domain = nullptr;
  expect({bad}, "number 0 lacks its domain");
  ds_session_options options = {};
  options.custom_op_count = 1;
  EXPECT_EQ(ds_session_create(model, &options, &session, &error), DS_BAD_ARGUMENT);
}

TEST_F(Custom, ShapesThatCannotBeAreErrors) {
  ASSERT_EQ(open({op()}), DS_OK);
  behaviour.size = -3;
  expectProblem(DS_BAD_INPUT, "impossible size of dimension 0 of output 0");
  behaviour.size = int64_t(1) << 41;
  expectProblem(DS_BAD_INPUT, "impossible size");
  behaviour.size = -1;
  expectProblem(DS_BAD_INPUT, "does not tell dimension 0 of output 0");
  EXPECT_EQ(behaviour.runs, 0);
  behaviour.size = -2;
  expectRun(4); // the session is as good as before
  ds_custom_op silent = op();
  silent.infer = nullptr;
  ASSERT_EQ(open({silent}), DS_OK);
  expectProblem(DS_BAD_INPUT, "no function 'infer'");
}

TEST_F(Custom, SizesThatTheModelSaysAreChecked) {
  Program program = customProgram();
  program.calls[0].outputs[0].tensor.dimensions[0] = {Number::constant(12), "12"};
  program.bound[0].element = 0;
  load(program);
  ds_custom_op known = op();
  known.infer = [](void *context, ds_custom_node *, const ds_tensor *inputs, size_t, ds_custom_output *outputs, size_t,
                   ds_error *) {
    ++static_cast<Behaviour *>(context)->infers;
    EXPECT_EQ(outputs[0].shape[0], 12);
    outputs[0].shape[0] = 3 * inputs[0].shape[0];
    return int32_t(DS_OK);
  };
  ASSERT_EQ(open({known}), DS_OK);
  expectRun(4);
  EXPECT_EQ(runOn(5), DS_BAD_INPUT);
  EXPECT_NE(std::string(error.message).find("tells 15 as dimension 0 of output 0, the model 12"), std::string::npos)
      << error.message;
  known.infer = nullptr; // the model says all
  ASSERT_EQ(open({known}), DS_OK);
  expectRun(4);
}

TEST_F(Custom, ErrorsOfTheOperatorBecomeTheRuns) {
  ASSERT_EQ(open({op()}), DS_OK);
  behaviour.message = "the input has a bad smell";
  for (int32_t *status : {&behaviour.inferStatus, &behaviour.runStatus}) {
    *status = DS_OUT_OF_MEMORY;
    expectProblem(DS_OUT_OF_MEMORY, "(com.example.Stretch): the input has a bad smell");
    *status = 77;
    expectProblem(DS_BAD_INPUT, "returned 77, which is no status");
    *status = DS_OK;
  }
  behaviour.message = "";
  behaviour.runStatus = DS_BAD_INPUT;
  expectProblem(DS_BAD_INPUT, "failed with status 4 and no message");
  behaviour.runStatus = DS_OK;
  expectRun(4);
}

TEST_F(Custom, AttributesAreReadByNameAndKind) {
  ds_custom_op reader = op();
  reader.run = [](void *context, ds_custom_node *node, const ds_tensor *inputs, size_t count, const ds_tensor *outputs,
                  size_t outputCount, ds_error *error) {
    EXPECT_STREQ(ds_custom_source(node), "node 's' (com.example.Stretch)");
    EXPECT_EQ(ds_custom_int(node, "times", 9), 3);
    EXPECT_EQ(ds_custom_int(node, "scale", 9), 9); // of another kind
    EXPECT_EQ(ds_custom_float(node, "scale", 9), 0.5f);
    EXPECT_STREQ(ds_custom_string(node, "mode", "slow"), "fast");
    EXPECT_STREQ(ds_custom_string(node, "style", "slow"), "slow");
    EXPECT_EQ(ds_custom_attribute(node, "nothing"), nullptr);
    const ds_attribute *pads = ds_custom_attribute(node, "pads"), *rates = ds_custom_attribute(node, "rates"),
                       *names = ds_custom_attribute(node, "names"), *table = ds_custom_attribute(node, "table"),
                       *empty = ds_custom_attribute(node, "empty");
    EXPECT_EQ(pads->kind, DS_ATTRIBUTE_INTS);
    EXPECT_EQ(std::vector<int64_t>(pads->ints, pads->ints + pads->count),
              (std::vector<int64_t>{1, -2, int64_t(1) << 40}));
    EXPECT_EQ(std::vector<float>(rates->floats, rates->floats + rates->count), (std::vector<float>{1.5f, -0.25f, 8}));
    EXPECT_EQ(names->count, 3u);
    EXPECT_EQ(std::string(names->strings[2].data, names->strings[2].size), std::string("b\0c", 3));
    EXPECT_EQ(names->strings[1].size, 0u);
    EXPECT_EQ(table->kind, DS_ATTRIBUTE_TENSOR);
    EXPECT_EQ(table->tensor.rank, 2);
    EXPECT_EQ(table->tensor.shape[0] * table->tensor.shape[1], 4);
    EXPECT_EQ(memcmp(table->tensor.data, tinyWeights, sizeof tinyWeights), 0);
    EXPECT_EQ(empty->count, 0u);
    size_t all = 0;
    while (ds_custom_attribute_at(node, all))
      ++all;
    EXPECT_EQ(all, 8u);
    return run(context, node, inputs, count, outputs, outputCount, error);
  };
  ASSERT_EQ(open({reader}), DS_OK);
  expectRun(2);
}

TEST_F(Custom, WorkIsSpreadOverTheThreads) {
  ds_custom_op spreading = op();
  spreading.run = [](void *, ds_custom_node *node, const ds_tensor *, size_t, const ds_tensor *outputs, size_t,
                     ds_error *) {
    struct Work {
      ds_custom_node *node;
      std::atomic<int> parts{0}, inner{0};
      float *to;
    } work{node, {}, {}, static_cast<float *>(outputs[0].data)};
    const int32_t result = ds_custom_parallel(
        node, 12, 1,
        [](void *argument, int64_t begin, int64_t end) {
          Work &w = *static_cast<Work *>(argument);
          ++w.parts;
          std::fill(w.to + begin, w.to + end, float(1));
          // From within a part: on this thread alone.
          const int32_t inside = ds_custom_parallel(
              w.node, 12, 1,
              [](void *argument, int64_t begin, int64_t end) {
                ++static_cast<Work *>(argument)->inner;
                EXPECT_EQ(end - begin, 12);
                return 0;
              },
              argument);
          EXPECT_EQ(inside, 0);
          return begin == 0 ? 0 : int32_t(begin);
        },
        &work);
    EXPECT_EQ(result, 3); // the second of four parts
    EXPECT_EQ(work.parts, 4);
    EXPECT_EQ(work.inner, 4);
    EXPECT_EQ(ds_custom_parallel(node, 0, 1, nullptr, nullptr), 0);
    return int32_t(DS_OK);
  };
  ASSERT_EQ(open({spreading}, 4), DS_OK);
  ASSERT_EQ(runOn(4), DS_OK) << error.message;
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(static_cast<float *>(out.data)[i], 2.0f);
}

TEST_F(Custom, SessionsInTwoThreadsShareAnOperator) {
  auto work = [&](int64_t n) {
    const ds_custom_op mine = op();
    ds_session_options options = {};
    options.threads = 2;
    options.custom_ops = &mine;
    options.custom_op_count = 1;
    ds_session *own = nullptr;
    ds_error problem = {};
    ASSERT_EQ(ds_session_create(model, &options, &own, &problem), DS_OK) << problem.message;
    for (int round = 0; round < 200; ++round) {
      const int64_t length = n + round % 5;
      std::vector<float> x(static_cast<size_t>(length), static_cast<float>(n));
      const ds_tensor in = {x.data(), DS_FLOAT32, 1, &length, nullptr};
      ds_tensor result = {};
      ASSERT_EQ(ds_session_run(own, &in, 1, &result, 1, &problem), DS_OK) << problem.message;
      ASSERT_EQ(result.shape[0], 3 * length);
      for (int64_t i = 0; i < 3 * length; ++i)
        ASSERT_EQ(static_cast<float *>(result.data)[i], float(2 * n + 1));
    }
    ds_session_destroy(own);
  };
  std::thread other([&] { work(3); });
  work(11);
  other.join();
  EXPECT_EQ(behaviour.runs, 400);
}

//===----------------------------------------------------------------------===//
// The wrapper for C++
//===----------------------------------------------------------------------===//

TEST_F(Custom, FunctionsOfCppAreOperators) {
  ds::Model wrapped(folder.file("m1.so"));
  ds::CustomOp stretch{"com.example", "Stretch", {}, {}};
  stretch.infer = [](ds::CustomNode &node, const std::vector<ds::Tensor> &inputs, ds::CustomOp::Shapes &shapes) {
    shapes[0][0] = inputs[0].shape()[0] * node.getInt("times", 1);
  };
  stretch.run = [](ds::CustomNode &node, const std::vector<ds::Tensor> &inputs,
                   const std::vector<ds::Tensor> &outputs) {
    EXPECT_EQ(node.getString("mode"), "fast");
    EXPECT_EQ(node.getInts("pads").size(), 3u);
    EXPECT_EQ(node.getFloats("rates")[1], -0.25f);
    EXPECT_EQ(node.getStrings("names")[2].size(), 3u);
    EXPECT_EQ(node.getTensor("table").data<float>()[3], 1000);
    EXPECT_EQ(node.getTensor("times").dtype(), 0);
    const float *from = inputs[0].data<float>();
    float *to = outputs[0].data<float>();
    const int64_t n = inputs[0].size();
    node.parallelFor(outputs[0].size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        to[i] = from[i % n];
    });
  };
  ds_session_options options = {};
  options.threads = 3;
  ds::Session first(wrapped, options, {stretch}), moved = std::move(first);
  const std::vector<float> x = {1, 2};
  const std::vector<ds::Tensor> y = moved.run({ds::Tensor(x.data(), {2})});
  ASSERT_EQ(y[0].shape(), (std::vector<int64_t>{6}));
  EXPECT_EQ(y[0].data<float>()[5], 5);
}

TEST_F(Custom, ExceptionsEndTheRun) {
  ds::Model wrapped(folder.file("m1.so"));
  ds_session_options options = {};
  options.threads = 2;
  const std::vector<float> x = {1, 2};
  auto problem = [&](ds::CustomOp op) {
    ds::Session session(wrapped, options, {std::move(op)});
    try {
      session.run({ds::Tensor(x.data(), {2})});
    } catch (const ds::Error &error) {
      return std::to_string(error.status()) + " " + error.what();
    }
    return std::string("no error");
  };
  const std::string node = " node 's' (com.example.Stretch): ";
  auto shape = [](ds::CustomNode &, const std::vector<ds::Tensor> &, ds::CustomOp::Shapes &shapes) {
    shapes[0][0] = 100;
  };
  auto nothing = [](ds::CustomNode &, const std::vector<ds::Tensor> &, const std::vector<ds::Tensor> &) {};
  EXPECT_EQ(problem({"com.example", "Stretch",
                     [](ds::CustomNode &, const std::vector<ds::Tensor> &, const std::vector<ds::Tensor> &) {
                       throw std::runtime_error("no luck");
                     },
                     shape}),
            "4" + node + "no luck");
  EXPECT_EQ(problem({"com.example", "Stretch",
                     [](ds::CustomNode &node, const std::vector<ds::Tensor> &, const std::vector<ds::Tensor> &) {
                       node.parallelFor(100, 1, [](int64_t begin, int64_t) {
                         if (begin)
                           throw ds::Error(DS_IO_ERROR, "the second part failed");
                       });
                     },
                     shape}),
            "6" + node + "the second part failed");
  EXPECT_EQ(problem({"com.example", "Stretch", nothing,
                     [](ds::CustomNode &, const std::vector<ds::Tensor> &, ds::CustomOp::Shapes &shapes) {
                       shapes[0].push_back(1);
                     }}),
            "4" + node + "the operator tells a shape of 2 dimensions for output 0, which has 1");
}
