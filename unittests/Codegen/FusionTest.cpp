//===- FusionTest.cpp - Roots with what is computed before and after them -===//
// Guarantees: producers are read as the root needs them, epilogues see the root's value at their own position; the
//   root alone has its own tests.
//===----------------------------------------------------------------------===//
#include "KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>

namespace ds::test {
namespace {

constexpr int64_t kA = 3, kB = 5, kC = 37;

/// A kernel of x, y [A, B, C] and p [C], all of `type`; `body` computes %r of x's type.
std::string kernelText(const std::string &body, const std::string &type = "f32") {
  std::string t = "tensor<?x?x?x" + type + ">", p = "tensor<?x" + type + ">";
  std::string shape = " {ds.shape = #ds.shape<[\"A\", \"B\", \"C\"]>}";
  std::string text = "rt.kernel @k(%x: T" + shape + ", %y: T" + shape +
                     ", %p: P {ds.shape = #ds.shape<[\"C\"]>}) -> T {\n" + body + "\nrt.yield %r : T\n}";
  std::string result;
  for (char c : text)
    result += c == 'T' ? t : c == 'P' ? p : std::string(1, c);
  return result;
}

using Reference = std::function<void(std::vector<double> &x, const Buffer<float> &y, const Buffer<float> &p)>;

/// `reference` turns x into the result.
template <typename T> void checkAs(const std::string &text, double tolerance, Reference reference) {
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel) << text;
  size_t n = kA * kB * kC;
  // Eighths, which f16 holds exactly.
  auto eighths = [](unsigned factor) { return [=](size_t i) { return float(int(i * factor % 47) - 23) / 8; }; };
  Buffer<float> x(n, eighths(31)), y(n, eighths(17)), p(kC, eighths(7));
  Buffer<T> tx(n, [&](size_t i) { return T(x[i]); }), ty(n, [&](size_t i) { return T(y[i]); });
  Buffer<T> tp(kC, [&](size_t i) { return T(p[i]); }), result(n);
  std::vector<double> expected(x.data(), x.data() + n);
  reference(expected, y, p);
  for (int64_t pieces : {1, 3}) {
    ASSERT_EQ(kernel->run({{"A", kA}, {"B", kB}, {"C", kC}}, {tx.data(), ty.data(), tp.data(), result.data()}, pieces),
              0);
    for (size_t i = 0; i < n; ++i)
      ASSERT_NEAR(double(result[i]), expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

void softmax(std::vector<double> &x, int64_t rows, int64_t n, int64_t inner, bool isLog) {
  for (int64_t r = 0; r < rows * inner; ++r) {
    double *row = x.data() + r / inner * n * inner + r % inner, sum = 0;
    for (int64_t i = 0; i < n; ++i)
      sum += std::exp(row[i * inner]);
    for (int64_t i = 0; i < n; ++i)
      row[i * inner] = isLog ? row[i * inner] - std::log(sum) : std::exp(row[i * inner]) / sum;
  }
}

void layerNorm(std::vector<double> &x, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) {
    double *row = x.data() + r * n, mean = 0, variance = 0;
    for (int64_t i = 0; i < n; ++i)
      mean += row[i] / double(n);
    for (int64_t i = 0; i < n; ++i)
      variance += (row[i] - mean) * (row[i] - mean) / double(n);
    for (int64_t i = 0; i < n; ++i)
      row[i] = (row[i] - mean) / std::sqrt(variance + 1e-5);
  }
}

TEST(Fusion, SoftmaxBetweenSumAndProduct) {
  for (const char *type : {"f32", "f16"})
    for (int axis : {0, 1, 2})
      for (bool isLog : {false, true}) {
        std::string text = kernelText(std::string(R"(
          %m = ds.mul %x, %p : (T, P) -> T
          %s = ds.add %m, %y : (T, T) -> T
          %n = ds.)") + (isLog ? "log_softmax" : "softmax") +
                                          " %s {axis = " + std::to_string(axis) + R"( : i64} : (T) -> T
          %q = ds.mul %n, %p : (T, P) -> T
          %r = ds.sub %q, %x : (T, T) -> T)",
                                      type);
        Reference reference = [&](std::vector<double> &x, const Buffer<float> &y, const Buffer<float> &p) {
          std::vector<double> original = x;
          for (size_t i = 0; i < x.size(); ++i)
            x[i] = x[i] * p[i % kC] + y[i];
          if (axis == 0)
            softmax(x, 1, kA, kB * kC, isLog);
          else if (axis == 1)
            softmax(x, kA, kB, kC, isLog);
          else
            softmax(x, kA * kB, kC, 1, isLog);
          for (size_t i = 0; i < x.size(); ++i)
            x[i] = x[i] * p[i % kC] - original[i];
        };
        if (std::string(type) == "f32")
          checkAs<float>(text, 3e-6, reference);
        else
          checkAs<_Float16>(text, 4e-3, reference);
      }
}

TEST(Fusion, LayerNormOfASum) {
  for (const char *type : {"f32", "f16"})
    for (int axis : {1, 2}) {
      std::string text = kernelText(R"(
        %s = ds.add %x, %y : (T, T) -> T
        %n = ds.layer_norm %s, %p, %p {axis = )" +
                                        std::to_string(axis) + R"( : i64, epsilon = 1.0e-5 : f64} : (T, P, P) -> T
        %a = ds.relu %n : (T) -> T
        %r = ds.add %a, %x : (T, T) -> T)",
                                    type);
      Reference reference = [&](std::vector<double> &x, const Buffer<float> &y, const Buffer<float> &p) {
        std::vector<double> original = x;
        for (size_t i = 0; i < x.size(); ++i)
          x[i] += y[i];
        layerNorm(x, axis == 2 ? kA * kB : kA, axis == 2 ? kC : kB * kC);
        for (size_t i = 0; i < x.size(); ++i)
          x[i] = std::max(x[i] * p[i % kC] + p[i % kC], 0.0) + original[i];
      };
      if (std::string(type) == "f32")
        checkAs<float>(text, 5e-6, reference);
      else
        checkAs<_Float16>(text, 1e-2, reference);
    }
}

TEST(Fusion, AttentionWithComputedOperandsAndMask) {
  // The mask is 0 or the lowest number, by the sign of p's first entries.
  std::string text = kernelText(R"(
    %q = ds.add %x, %p : (T, P) -> T
    %k = ds.mul %x, %y : (T, T) -> T
    %v = ds.sub %x, %y : (T, T) -> T
    %first = ds.slice %p {start = #ds.shape<["0"]>, size = #ds.shape<["B"]>, step = array<i64: 1>} : (P) -> P
    %zero = ds.constant dense<0.0> : tensor<f32>
    %lowest = ds.constant dense<0xFF7FFFFF> : tensor<f32>
    %seen = ds.compare ge, %first, %zero : (P, tensor<f32>) -> tensor<?xi1>
    %mask = ds.select %seen, %zero, %lowest : (tensor<?xi1>, tensor<f32>, tensor<f32>) -> P
    %a = ds.attention %q, %k, %v, %mask {scale = 0.5 : f64} : (T, T, T, P) -> T
    %r = ds.add %a, %x : (T, T) -> T)");
  checkAs<float>(text, 5e-6, [](std::vector<double> &x, const Buffer<float> &y, const Buffer<float> &p) {
    std::vector<double> result(x.size());
    for (int64_t a = 0; a < kA; ++a)
      for (int64_t t = 0; t < kB; ++t) {
        double scores[kB], sum = 0;
        for (int64_t s = 0; s < kB; ++s) {
          double dot = 0;
          for (int64_t d = 0; d < kC; ++d) {
            int64_t key = (a * kB + s) * kC + d;
            dot += (x[(a * kB + t) * kC + d] + p[d]) * x[key] * y[key];
          }
          sum += scores[s] = p[s] >= 0 ? std::exp(dot * 0.5) : 0;
        }
        for (int64_t d = 0; d < kC; ++d) {
          double value = x[(a * kB + t) * kC + d];
          for (int64_t s = 0; s < kB; ++s)
            value += scores[s] / sum * (x[(a * kB + s) * kC + d] - y[(a * kB + s) * kC + d]);
          result[(a * kB + t) * kC + d] = value;
        }
      }
    x = result;
  });
}

TEST(Fusion, DepthwiseWithBiasAndClip) {
  const char *text = R"(rt.kernel @k(%x: tensor<1x6x9x20xf32>, %w: tensor<3x3x20xf32>, %b: tensor<20xf32>,
      %y: tensor<1x6x9x20xf32>) -> tensor<1x6x9x20xf32> {
    %low = ds.constant dense<0.0> : tensor<f32>
    %high = ds.constant dense<2.0> : tensor<f32>
    %c = ds.depthwise %x, %w {strides = array<i64: 1, 1>, pads_low = array<i64: 1, 1>, pads_high = array<i64: 1, 1>,
      dilations = array<i64: 1, 1>} : (tensor<1x6x9x20xf32>, tensor<3x3x20xf32>) -> tensor<1x6x9x20xf32>
    %s = ds.add %c, %b : (tensor<1x6x9x20xf32>, tensor<20xf32>) -> tensor<1x6x9x20xf32>
    %m = ds.max %s, %low : (tensor<1x6x9x20xf32>, tensor<f32>) -> tensor<1x6x9x20xf32>
    %n = ds.min %m, %high : (tensor<1x6x9x20xf32>, tensor<f32>) -> tensor<1x6x9x20xf32>
    %r = ds.add %n, %y : (tensor<1x6x9x20xf32>, tensor<1x6x9x20xf32>) -> tensor<1x6x9x20xf32>
    rt.yield %r : tensor<1x6x9x20xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Buffer<float> x = randomFloats(1080, 1), w = randomFloats(180, 2), b = randomFloats(20, 3), y = randomFloats(1080, 4);
  Buffer<float> r(1080);
  ASSERT_EQ(kernel->run({}, {x.data(), w.data(), b.data(), y.data(), r.data()}, 4), 0);
  for (int64_t i = 0; i < 1080; ++i) {
    int64_t c = i % 20, column = i / 20 % 9, row = i / 180;
    double sum = b[c];
    for (int64_t kh = 0; kh < 3; ++kh)
      for (int64_t kw = 0; kw < 3; ++kw) {
        int64_t ih = row + kh - 1, iw = column + kw - 1;
        if (ih >= 0 && ih < 6 && iw >= 0 && iw < 9)
          sum += double(x[(ih * 9 + iw) * 20 + c]) * w[(kh * 3 + kw) * 20 + c];
      }
    ASSERT_NEAR(r[i], std::min(std::max(sum, 0.0), 2.0) + y[i], 1e-5);
  }
}

TEST(Fusion, PoolOfAProduct) {
  const char *text = R"(rt.kernel @k(%x: tensor<1x4x4x70xf32>, %p: tensor<70xf32>) -> tensor<1x2x2x70xf32> {
    %s = ds.mul %x, %p : (tensor<1x4x4x70xf32>, tensor<70xf32>) -> tensor<1x4x4x70xf32>
    %c = ds.avg_pool %s {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x4x4x70xf32>) -> tensor<1x2x2x70xf32>
    %r = ds.sub %c, %p : (tensor<1x2x2x70xf32>, tensor<70xf32>) -> tensor<1x2x2x70xf32>
    rt.yield %r : tensor<1x2x2x70xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Buffer<float> x = randomFloats(1120, 1), p = randomFloats(70, 2), r(280);
  ASSERT_EQ(kernel->run({}, {x.data(), p.data(), r.data()}), 0);
  for (int64_t i = 0; i < 280; ++i) {
    int64_t c = i % 70, column = i / 70 % 2, row = i / 140;
    double sum = 0;
    for (int64_t k = 0; k < 4; ++k)
      sum += x[((2 * row + k / 2) * 4 + 2 * column + k % 2) * 70 + c];
    ASSERT_NEAR(r[i], sum / 4 * p[c] - p[c], 1e-5);
  }
}

} // namespace
} // namespace ds::test
