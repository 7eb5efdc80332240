//===- WindowTest.cpp - Depthwise convolutions and pools, channels last ---===//
#include "KernelRunner.h"
#include "gtest/gtest.h"
#include <array>
#include <cmath>

namespace ds::test {
namespace {

using Pair = std::array<int64_t, 2>;

struct Window {
  Pair kernel, strides{1, 1}, low{0, 0}, high{0, 0}, dilations{1, 1};

  int64_t out(int64_t size, int d) const {
    return (size + low[d] + high[d] - dilations[d] * (kernel[d] - 1) - 1) / strides[d] + 1;
  }
  std::string attributes() const {
    auto list = [](const char *name, Pair p) {
      return std::string(name) + " = array<i64: " + std::to_string(p[0]) + ", " + std::to_string(p[1]) + ">";
    };
    return list("strides", strides) + ", " + list("pads_low", low) + ", " + list("pads_high", high) + ", " +
           list("dilations", dilations);
  }
  std::string kernelAttribute() const {
    return "kernel = array<i64: " + std::to_string(kernel[0]) + ", " + std::to_string(kernel[1]) + ">";
  }
  /// Calls f(oh, ow, kh, kw, h, w) for all taps; h, w may lie outside.
  template <typename F> void forEach(int64_t h, int64_t w, F f) const {
    for (int64_t oh = 0; oh < out(h, 0); ++oh)
      for (int64_t ow = 0; ow < out(w, 1); ++ow)
        for (int64_t kh = 0; kh < kernel[0]; ++kh)
          for (int64_t kw = 0; kw < kernel[1]; ++kw)
            f(oh, ow, kh, kw, oh * strides[0] - low[0] + kh * dilations[0],
              ow * strides[1] - low[1] + kw * dilations[1]);
  }
};

const std::string kTensor = "tensor<?x?x?x?xf32>";
const std::string kInput = "%x: tensor<?x?x?x?xf32> {ds.shape = #ds.shape<[\"N\", \"H\", \"W\", \"C\"]>}";

struct Size {
  int64_t n, h, w, c;
};

const Size kSizes[] = {{2, 12, 21, 40}, {1, 5, 7, 3}, {1, 4, 4, 64}, {0, 5, 5, 8}, {1, 9, 33, 100}};

void checkDepthwise(const Window &window) {
  std::string filter =
      "tensor<" + std::to_string(window.kernel[0]) + "x" + std::to_string(window.kernel[1]) + "x?xf32>";
  std::string text = "rt.kernel @k(" + kInput + ", %w: " + filter + " {ds.shape = #ds.shape<[\"" +
                     std::to_string(window.kernel[0]) + "\", \"" + std::to_string(window.kernel[1]) +
                     "\", \"C\"]>}) -> " + kTensor + " {\n%y = ds.depthwise %x, %w {" + window.attributes() + "} : (" +
                     kTensor + ", " + filter + ") -> " + kTensor + "\nrt.yield %y : " + kTensor + "\n}";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel) << text;
  for (auto [n, h, w, c] : kSizes) {
    int64_t outH = window.out(h, 0), outW = window.out(w, 1);
    if (outH <= 0 || outW <= 0)
      continue;
    Buffer<float> x = randomFloats(n * h * w * c, 1), f = randomFloats(window.kernel[0] * window.kernel[1] * c, 2);
    Buffer<float> y(n * outH * outW * c);
    std::vector<double> expected(y.size());
    for (int64_t i = 0; i < n; ++i)
      window.forEach(h, w, [&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
        if (ih >= 0 && ih < h && iw >= 0 && iw < w)
          for (int64_t k = 0; k < c; ++k)
            expected[((i * outH + oh) * outW + ow) * c + k] +=
                double(x[((i * h + ih) * w + iw) * c + k]) * f[(kh * window.kernel[1] + kw) * c + k];
      });
    ASSERT_EQ(kernel->run({{"N", n}, {"H", h}, {"W", w}, {"C", c}}, {x.data(), f.data(), y.data()}, 3), 0);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_NEAR(y[i], expected[i], 1e-5) << h << "x" << w << "x" << c << " at " << i << "\n" << text;
  }
}

TEST(Depthwise, Padded3x3) { checkDepthwise({.kernel = {3, 3}, .low = {1, 1}, .high = {1, 1}}); }
TEST(Depthwise, Strided) {
  checkDepthwise({.kernel = {3, 3}, .strides = {2, 2}, .low = {1, 1}, .high = {1, 1}});
  checkDepthwise({.kernel = {5, 5}, .strides = {2, 3}, .low = {1, 2}, .high = {2, 1}});
}
TEST(Depthwise, Dilated) { checkDepthwise({.kernel = {3, 3}, .low = {2, 2}, .high = {2, 2}, .dilations = {2, 2}}); }
TEST(Depthwise, Unpadded) { checkDepthwise({.kernel = {3, 1}}); }
TEST(Depthwise, WindowLargerThanTheImage) { checkDepthwise({.kernel = {7, 7}, .low = {3, 3}, .high = {3, 3}}); }
TEST(Depthwise, LongRowsOfTaps) { checkDepthwise({.kernel = {1, 19}, .low = {0, 9}, .high = {0, 9}}); }
TEST(Depthwise, NegativePads) { checkDepthwise({.kernel = {3, 3}, .low = {-1, -1}, .high = {-1, 1}}); }

enum class Pool { Max, Mean, MeanWithPads };

void checkPool(Pool kind, const Window &window) {
  std::string text = "rt.kernel @k(" + kInput + ") -> " + kTensor + " {\n%y = ds." +
                     (kind == Pool::Max ? "max_pool" : "avg_pool") + " %x {" + window.kernelAttribute() + ", " +
                     window.attributes() + (kind == Pool::MeanWithPads ? ", count_include_pad" : "") +
                     ", layout = #ds.layout<nhwc>} : (" + kTensor + ") -> " + kTensor + "\nrt.yield %y : " + kTensor +
                     "\n}";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel) << text;
  for (auto [n, h, w, c] : kSizes) {
    int64_t outH = window.out(h, 0), outW = window.out(w, 1);
    if (outH <= 0 || outW <= 0)
      continue;
    Buffer<float> x = randomFloats(n * h * w * c, 1), y(n * outH * outW * c);
    std::vector<double> expected(y.size(), kind == Pool::Max ? -INFINITY : 0.0);
    std::vector<int64_t> counts(y.size());
    for (int64_t i = 0; i < n; ++i)
      window.forEach(h, w, [&](int64_t oh, int64_t ow, int64_t, int64_t, int64_t ih, int64_t iw) {
        bool inside = ih >= 0 && ih < h && iw >= 0 && iw < w;
        for (int64_t k = 0; k < c; ++k) {
          int64_t at = ((i * outH + oh) * outW + ow) * c + k;
          counts[at] += inside || kind == Pool::MeanWithPads;
          if (!inside)
            continue;
          double value = x[((i * h + ih) * w + iw) * c + k];
          expected[at] = kind == Pool::Max ? std::max(expected[at], value) : expected[at] + value;
        }
      });
    ASSERT_EQ(kernel->run({{"N", n}, {"H", h}, {"W", w}, {"C", c}}, {x.data(), y.data()}, 3), 0);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_NEAR(y[i], kind == Pool::Max ? expected[i] : expected[i] / double(counts[i]), 1e-6)
          << h << "x" << w << "x" << c << " at " << i;
  }
}

TEST(Pool, AllKinds) {
  for (Pool kind : {Pool::Max, Pool::Mean, Pool::MeanWithPads}) {
    checkPool(kind, {.kernel = {3, 3}, .strides = {2, 2}, .low = {1, 1}, .high = {1, 1}});
    checkPool(kind, {.kernel = {2, 2}, .strides = {2, 2}});
    checkPool(kind, {.kernel = {3, 2}, .low = {2, 1}, .high = {1, 0}, .dilations = {2, 1}});
  }
}

TEST(Pool, MeanOfCeilModeCountsThePaddingOnly) {
  // The second window covers two elements and one position beyond the padding.
  const char *text = R"(rt.kernel @k(%x: tensor<1x1x4x1xf32>) -> tensor<1x1x2x1xf32> {
    %y = ds.avg_pool %x {kernel = array<i64: 1, 3>, strides = array<i64: 1, 2>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>, ceil_mode, count_include_pad,
      layout = #ds.layout<nhwc>} : (tensor<1x1x4x1xf32>) -> tensor<1x1x2x1xf32>
    rt.yield %y : tensor<1x1x2x1xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Buffer<float> x(4, [](size_t i) { return float(i + 1); }), y(2);
  ASSERT_EQ(kernel->run({}, {x.data(), y.data()}), 0);
  EXPECT_FLOAT_EQ(y[0], 2.0f);
  EXPECT_FLOAT_EQ(y[1], 3.5f);
}

TEST(Pool, IntegersAndHalves) {
  const char *text = R"(rt.kernel @k(%x: tensor<1x2x2x5xui8>) -> tensor<1x1x1x5xui8> {
    %y = ds.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, pads_low = array<i64: 0, 0>,
      pads_high = array<i64: 0, 0>, dilations = array<i64: 1, 1>, layout = #ds.layout<nhwc>}
      : (tensor<1x2x2x5xui8>) -> tensor<1x1x1x5xui8>
    rt.yield %y : tensor<1x1x1x5xui8>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Buffer<uint8_t> x(20, [](size_t i) { return uint8_t(i * 77); }), y(5);
  ASSERT_EQ(kernel->run({}, {x.data(), y.data()}), 0);
  for (size_t c = 0; c < 5; ++c)
    EXPECT_EQ(y[c], std::max(std::max(x[c], x[5 + c]), std::max(x[10 + c], x[15 + c])));
}

} // namespace
} // namespace ds::test
