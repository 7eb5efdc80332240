//===- SoftmaxTest.cpp - Softmax kernels against double precision ---------===//
#include "KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>

namespace ds::test {
namespace {

/// A kernel of rank 3, dims A x B x C.
std::string kernelText(const char *op, int axis, const char *type = "f32") {
  std::string tensor = std::string("tensor<?x?x?x") + type + ">";
  return "rt.kernel @k(%x: " + tensor + " {ds.shape = #ds.shape<[\"A\", \"B\", \"C\"]>}) -> " + tensor +
         " {\n%y = ds." + op + " %x {axis = " + std::to_string(axis) + " : i64} : (" + tensor + ") -> " + tensor +
         "\nrt.yield %y : " + tensor + "\n}";
}

std::vector<double> reference(const float *x, int64_t a, int64_t n, int64_t c, bool isLog) {
  std::vector<double> y(a * n * c);
  for (int64_t i = 0; i < a; ++i)
    for (int64_t k = 0; k < c; ++k) {
      const float *row = x + i * n * c + k;
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t j = 0; j < n; ++j)
        largest = std::max<double>(largest, row[j * c]);
      for (int64_t j = 0; j < n; ++j)
        sum += std::exp(row[j * c] - largest);
      for (int64_t j = 0; j < n; ++j)
        y[(i * n + j) * c + k] = isLog ? row[j * c] - largest - std::log(sum) : std::exp(row[j * c] - largest) / sum;
    }
  return y;
}

void check(const char *op, int axis, std::initializer_list<std::array<int64_t, 3>> shapes) {
  auto kernel = CompiledKernel::compile(kernelText(op, axis));
  ASSERT_TRUE(kernel);
  bool isLog = std::string(op) == "log_softmax";
  for (auto [a, b, c] : shapes) {
    Buffer<float> x = randomFloats(a * b * c, 1, 3.0f), y(x.size());
    for (int64_t pieces : {1, 3}) {
      ASSERT_EQ(kernel->run({{"A", a}, {"B", b}, {"C", c}}, {x.data(), y.data()}, pieces), 0);
      auto expected = axis == 0   ? reference(x.data(), 1, a, b * c, isLog)
                      : axis == 1 ? reference(x.data(), a, b, c, isLog)
                                  : reference(x.data(), a * b, c, 1, isLog);
      for (size_t i = 0; i < y.size(); ++i)
        ASSERT_NEAR(y[i], expected[i], 2e-6 * std::max(1.0, std::abs(expected[i])))
            << a << "x" << b << "x" << c << " at " << i;
    }
  }
}

TEST(Softmax, InnermostAxis) {
  check("softmax", 2, {{3, 4, 128}, {2, 3, 1}, {1, 5, 7}, {2, 2, 16}, {1, 3, 77}, {1, 2, 1000}, {0, 2, 5}, {2, 2, 0}});
}
TEST(Softmax, MiddleAxis) {
  check("softmax", 1, {{3, 9, 128}, {2, 3, 1}, {1, 5, 7}, {2, 2, 16}, {2, 40, 77}, {2, 0, 5}, {2, 2, 0}});
}
TEST(Softmax, OutermostAxis) { check("softmax", 0, {{3, 9, 5}, {1, 3, 1}, {17, 5, 7}}); }
TEST(LogSoftmax, AllAxes) {
  for (int axis : {0, 1, 2})
    check("log_softmax", axis, {{3, 4, 128}, {2, 3, 1}, {3, 5, 77}});
}

TEST(Softmax, ExtremeRows) {
  auto kernel = CompiledKernel::compile(kernelText("softmax", 2));
  ASSERT_TRUE(kernel);
  constexpr float kInf = std::numeric_limits<float>::infinity(), kLowest = std::numeric_limits<float>::lowest();
  constexpr int64_t n = 19;
  // All equal to the lowest number; one finite; all -inf; a NaN.
  Buffer<float> x(4 * n, [&](size_t i) { return i < n ? kLowest : i < 2 * n ? (i == n + 3 ? 5.0f : kLowest) : -kInf; });
  for (int64_t i = 0; i < n; ++i)
    x[3 * n + i] = i == 7 ? NAN : 1.0f;
  Buffer<float> y(x.size());
  ASSERT_EQ(kernel->run({{"A", 1}, {"B", 4}, {"C", n}}, {x.data(), y.data()}), 0);
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_NEAR(y[i], 1.0 / n, 1e-6);
    EXPECT_EQ(y[n + i], i == 3 ? 1.0f : 0.0f);
    EXPECT_TRUE(std::isnan(y[2 * n + i]));
    EXPECT_TRUE(std::isnan(y[3 * n + i]));
  }
}

TEST(Softmax, Doubles) {
  for (int axis : {1, 2}) {
    auto kernel = CompiledKernel::compile(kernelText("softmax", axis, "f64"));
    ASSERT_TRUE(kernel);
    Buffer<float> x = randomFloats(2 * 5 * 21, 1, 3.0f);
    Buffer<double> wide(x.size(), [&](size_t i) { return x[i]; }), y(x.size());
    ASSERT_EQ(kernel->run({{"A", 2}, {"B", 5}, {"C", 21}}, {wide.data(), y.data()}), 0);
    auto expected = axis == 1 ? reference(x.data(), 2, 5, 21, false) : reference(x.data(), 10, 21, 1, false);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_NEAR(y[i], expected[i], 1e-14);
  }
}

TEST(Softmax, Halves) {
  for (int axis : {1, 2}) {
    auto kernel = CompiledKernel::compile(kernelText("softmax", axis, "f16"));
    ASSERT_TRUE(kernel);
    Buffer<_Float16> x(2 * 5 * 21, [](size_t i) { return _Float16(float(i % 17) * 0.5f); }), y(x.size());
    std::vector<float> wide(x.data(), x.data() + x.size());
    ASSERT_EQ(kernel->run({{"A", 2}, {"B", 5}, {"C", 21}}, {x.data(), y.data()}), 0);
    auto expected = axis == 1 ? reference(wide.data(), 2, 5, 21, false) : reference(wide.data(), 10, 21, 1, false);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_NEAR(float(y[i]), expected[i], 5e-4);
  }
}

TEST(Softmax, StaticShape) {
  auto kernel = CompiledKernel::compile(R"(rt.kernel @k(%x: tensor<3x100xf32>) -> tensor<3x100xf32> {
    %y = ds.softmax %x {axis = 1 : i64} : (tensor<3x100xf32>) -> tensor<3x100xf32>
    rt.yield %y : tensor<3x100xf32>
  })");
  ASSERT_TRUE(kernel);
  Buffer<float> x = randomFloats(300, 2), y(300);
  ASSERT_EQ(kernel->run({}, {x.data(), y.data()}), 0);
  auto expected = reference(x.data(), 3, 100, 1, false);
  for (size_t i = 0; i < y.size(); ++i)
    ASSERT_NEAR(y[i], expected[i], 1e-6);
}

} // namespace
} // namespace ds::test
