//===- LayerNormTest.cpp - Layer norm kernels against double precision ----===//
#include "KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>

namespace ds::test {
namespace {

std::vector<double> reference(const float *x, const float *scale, const float *bias, int64_t rows, int64_t n) {
  std::vector<double> y(rows * n);
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; ++i)
      mean += x[r * n + i] / double(n);
    for (int64_t i = 0; i < n; ++i)
      variance += (x[r * n + i] - mean) * (x[r * n + i] - mean) / double(n);
    for (int64_t i = 0; i < n; ++i)
      y[r * n + i] = (x[r * n + i] - mean) / std::sqrt(variance + 1e-5) * scale[i] + (bias ? bias[i] : 0);
  }
  return y;
}

/// Dims A x B x C; scale and bias of dims `parameter`.
std::string kernelText(int axis, const char *parameter, const char *parameterType, bool hasBias) {
  std::string tensor = "tensor<?x?x?xf32>", p = parameterType;
  std::string argument = p + " {ds.shape = #ds.shape<[" + parameter + "]>}";
  return "rt.kernel @k(%x: " + tensor + " {ds.shape = #ds.shape<[\"A\", \"B\", \"C\"]>}, %s: " + argument +
         (hasBias ? ", %b: " + argument : "") + ") -> " + tensor + " {\n%y = ds.layer_norm %x, %s" +
         (hasBias ? ", %b" : "") + " {axis = " + std::to_string(axis) + " : i64, epsilon = 1.0e-5 : f64} : (" + tensor +
         ", " + p + (hasBias ? ", " + p : "") + ") -> " + tensor + "\nrt.yield %y : " + tensor + "\n}";
}

void check(const std::string &text, bool whole, bool hasBias, float mean = 0.5f) {
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  for (auto [a, b, c] : std::initializer_list<std::array<int64_t, 3>>{
           {3, 4, 128}, {2, 3, 1}, {1, 5, 7}, {2, 2, 16}, {1, 3, 77}, {1, 2, 1000}, {0, 2, 5}, {2, 2, 0}}) {
    int64_t n = whole ? b * c : c, rows = whole ? a : a * b;
    Buffer<float> x = randomFloats(a * b * c, 1, 2.0f, mean), scale = randomFloats(n, 2), bias = randomFloats(n, 3);
    Buffer<float> y(x.size());
    std::vector<void *> arguments{x.data(), scale.data()};
    if (hasBias)
      arguments.push_back(bias.data());
    arguments.push_back(y.data());
    ASSERT_EQ(kernel->run({{"A", a}, {"B", b}, {"C", c}}, arguments, 2), 0);
    auto expected = reference(x.data(), scale.data(), hasBias ? bias.data() : nullptr, rows, n);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_NEAR(y[i], expected[i], (1 + std::abs(mean)) * 4e-6 * std::max(1.0, std::abs(expected[i])))
          << a << "x" << b << "x" << c << " at " << i;
  }
}

TEST(LayerNorm, LastDimension) {
  check(kernelText(2, "\"C\"", "tensor<?xf32>", true), false, true);
  check(kernelText(2, "\"C\"", "tensor<?xf32>", false), false, false);
}
TEST(LayerNorm, TwoDimensions) { check(kernelText(1, "\"B\", \"C\"", "tensor<?x?xf32>", true), true, true); }
TEST(LayerNorm, LargeMean) { check(kernelText(2, "\"C\"", "tensor<?xf32>", true), false, true, 300.0f); }

TEST(LayerNorm, BroadcastScale) {
  // Over B x C with a scale of dims C.
  auto kernel = CompiledKernel::compile(kernelText(1, "\"C\"", "tensor<?xf32>", false));
  ASSERT_TRUE(kernel);
  int64_t a = 2, b = 3, c = 21;
  Buffer<float> x = randomFloats(a * b * c, 1), scale = randomFloats(c, 2), y(x.size());
  Buffer<float> repeated(b * c, [&](size_t i) { return scale[i % c]; });
  ASSERT_EQ(kernel->run({{"A", a}, {"B", b}, {"C", c}}, {x.data(), scale.data(), y.data()}), 0);
  auto expected = reference(x.data(), repeated.data(), nullptr, a, b * c);
  for (size_t i = 0; i < y.size(); ++i)
    ASSERT_NEAR(y[i], expected[i], 4e-6 * std::max(1.0, std::abs(expected[i])));
}

TEST(LayerNorm, ConstantRowsGiveTheBias) {
  auto kernel = CompiledKernel::compile(kernelText(2, "\"C\"", "tensor<?xf32>", true));
  ASSERT_TRUE(kernel);
  int64_t c = 100;
  Buffer<float> x(c, [](size_t) { return 1e4f; }), scale = randomFloats(c, 2), bias = randomFloats(c, 3), y(c);
  ASSERT_EQ(kernel->run({{"A", 1}, {"B", 1}, {"C", c}}, {x.data(), scale.data(), bias.data(), y.data()}), 0);
  for (int64_t i = 0; i < c; ++i)
    EXPECT_NEAR(y[i], bias[i], 1e-5);
}

} // namespace
} // namespace ds::test
