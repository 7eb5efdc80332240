//===- AttentionTest.cpp - Attention kernels against double precision -----===//
#include "KernelRunner.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>

namespace ds::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kLowest = std::numeric_limits<float>::lowest();

struct Shape {
  int64_t heads, t, s, d, e;
};

/// What may be asked of a kernel of dims [H, T, D], [H, S, D], [H, S, E].
struct Options {
  std::string mask;     // the dims of a mask
  std::string maskType; // its tensor type
  bool causal = false, zeroMaskedRows = false;
  bool infinite = false; // values hold an infinity and a NaN
  double scale = 0.125;
};

std::string kernelText(const Options &options) {
  std::string t = "tensor<?x?x?xf32>";
  auto argument = [&](const char *name, const char *dims) {
    return std::string(name) + ": " + t + " {ds.shape = #ds.shape<[" + dims + "]>}";
  };
  std::string text = "rt.kernel @k(" + argument("%q", "\"H\", \"T\", \"D\"") + ", " +
                     argument("%k", "\"H\", \"S\", \"D\"") + ", " + argument("%v", "\"H\", \"S\", \"E\"");
  if (!options.mask.empty())
    text += ", %m: " + options.maskType + " {ds.shape = #ds.shape<[" + options.mask + "]>}";
  text += ") -> " + t + " {\n%y = ds.attention %q, %k, %v" + (options.mask.empty() ? "" : ", %m") +
          " {scale = " + std::to_string(options.scale) + " : f64" + (options.causal ? ", causal" : "") +
          (options.zeroMaskedRows ? ", zero_masked_rows" : "") + "} : (" + t + ", " + t + ", " + t +
          (options.mask.empty() ? "" : ", " + options.maskType) + ") -> " + t + "\nrt.yield %y : " + t + "\n}";
  return text;
}

using MaskFn = std::function<double(int64_t h, int64_t t, int64_t s)>;

std::vector<double> reference(const Shape &n, const float *q, const float *k, const float *v, const Options &options,
                              MaskFn mask) {
  std::vector<double> y(n.heads * n.t * n.e), scores(n.s);
  for (int64_t h = 0; h < n.heads; ++h)
    for (int64_t t = 0; t < n.t; ++t) {
      double largest = -kInf, sum = 0;
      for (int64_t s = 0; s < n.s; ++s) {
        double dot = 0;
        for (int64_t d = 0; d < n.d; ++d)
          dot += double(q[(h * n.t + t) * n.d + d]) * k[(h * n.s + s) * n.d + d];
        scores[s] = float(dot * options.scale + (mask ? mask(h, t, s) : 0));
        if (options.causal && s > t + n.s - n.t)
          scores[s] = -kInf;
        largest = std::max(largest, scores[s]);
      }
      for (int64_t s = 0; s < n.s; ++s)
        sum += scores[s] = std::exp(scores[s] - largest);
      for (int64_t s = 0; s < n.s; ++s)
        for (int64_t e = 0; e < n.e; ++e)
          y[(h * n.t + t) * n.e + e] +=
              (options.zeroMaskedRows && std::isnan(sum) ? 0 : scores[s] / sum) * v[(h * n.s + s) * n.e + e];
    }
  return y;
}

void expectNear(const Buffer<float> &y, const std::vector<double> &expected, const std::string &what) {
  for (size_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(std::isnan(y[i]), std::isnan(expected[i])) << what << " at " << i;
    if (std::isinf(expected[i])) {
      ASSERT_EQ(y[i], expected[i]) << what << " at " << i;
    } else if (!std::isnan(expected[i])) {
      ASSERT_NEAR(y[i], expected[i], 4e-6 * std::max(1.0, std::abs(expected[i]))) << what << " at " << i;
    }
  }
}

std::string describe(const Shape &n) {
  return "H=" + std::to_string(n.heads) + " T=" + std::to_string(n.t) + " S=" + std::to_string(n.s) +
         " D=" + std::to_string(n.d) + " E=" + std::to_string(n.e);
}

CompiledKernel::Symbols symbols(const Shape &n) {
  return {{"H", n.heads}, {"T", n.t}, {"S", n.s}, {"D", n.d}, {"E", n.e}};
}

const Shape kShapes[] = {{2, 128, 128, 64, 64}, {1, 5, 37, 20, 7},    {2, 1, 100, 64, 64}, {1, 3, 40, 33, 80},
                         {3, 36, 50, 8, 16},    {1, 4, 1, 1, 1},      {2, 0, 5, 4, 4},     {0, 4, 5, 4, 4},
                         {1, 4, 8, 16, 0},      {1, 70, 33, 32, 130}, {2, 2, 1, 3, 5},     {1, 5, 6, 0, 3}};

void check(const Options &options, std::vector<Shape> shapes, MaskFn mask = {},
           std::function<std::pair<size_t, std::function<float(size_t)>>(const Shape &)> maskData = {}) {
  auto kernel = CompiledKernel::compile(kernelText(options));
  ASSERT_TRUE(kernel);
  bool flags = options.maskType.find("i1") != std::string::npos;
  for (const Shape &n : shapes) {
    Buffer<float> q = randomFloats(n.heads * n.t * n.d, 1, 2.0f), k = randomFloats(n.heads * n.s * n.d, 2);
    Buffer<float> v = randomFloats(n.heads * n.s * n.e, 3), y(n.heads * n.t * n.e);
    if (options.infinite && v.size() > 0) {
      v[0] = float(kInf);
      v[v.size() - 1] = std::nanf("");
    }
    std::vector<void *> arguments{q.data(), k.data(), v.data()};
    std::optional<Buffer<float>> numbers;
    std::optional<Buffer<uint8_t>> bools;
    if (maskData) {
      auto [size, fill] = maskData(n);
      if (flags)
        arguments.push_back(bools.emplace(size, [&](size_t i) { return uint8_t(fill(i) != 0); }).data());
      else
        arguments.push_back(numbers.emplace(size, fill).data());
    }
    arguments.push_back(y.data());
    auto expected = reference(n, q.data(), k.data(), v.data(), options, mask);
    for (int64_t pieces : {1, 3}) {
      for (size_t i = 0; i < y.size(); ++i)
        y[i] = 12345;
      ASSERT_EQ(kernel->run(symbols(n), arguments, pieces), 0);
      ASSERT_NO_FATAL_FAILURE(expectNear(y, expected, describe(n)));
    }
  }
}

std::vector<Shape> allShapes() { return {std::begin(kShapes), std::end(kShapes)}; }

TEST(Attention, Plain) { check({}, allShapes()); }
TEST(Attention, NoKeysGiveZero) { check({}, {{1, 4, 0, 4, 4}, {1, 1, 0, 4, 4}}); }
TEST(Attention, Causal) {
  Options options;
  options.causal = true;
  // Queries before the first key see nothing.
  std::vector<Shape> shapes = allShapes();
  shapes.push_back({1, 40, 9, 16, 16});
  check(options, shapes);
}

TEST(Attention, AddedMask) {
  Options options;
  options.mask = "\"1\", \"T\", \"S\"";
  options.maskType = "tensor<1x?x?xf32>";
  auto value = [](int64_t t, int64_t s) { return (t * 7 + s * 3) % 5 == 0 ? -kInf : float((t + s) % 3); };
  check(
      options, allShapes(), [&](int64_t, int64_t t, int64_t s) { return value(t, s); },
      [&](const Shape &n) {
        return std::pair(size_t(n.t * n.s),
                         [s = n.s, &value](size_t i) { return value(int64_t(i) / s, int64_t(i) % s); });
      });
}

TEST(Attention, RowsWithTheLowestMaskAreUniform) {
  Options options;
  options.mask = "\"S\"";
  options.maskType = "tensor<?xf32>";
  check(
      options, allShapes(), [](int64_t, int64_t, int64_t) { return kLowest; },
      [](const Shape &n) { return std::pair(size_t(n.s), [](size_t) { return kLowest; }); });
}

TEST(Attention, Flags) {
  Options options;
  options.mask = "\"H\", \"1\", \"S\"";
  options.maskType = "tensor<?x1x?xi1>";
  // Every second head sees nothing.
  auto seen = [](int64_t h, int64_t s) { return h % 2 == 0 && s % 3 != 1; };
  for (auto [zero, infinite] : {std::pair(false, false), {true, false}, {true, true}}) {
    options.zeroMaskedRows = zero;
    options.infinite = infinite;
    check(
        options, allShapes(), [&](int64_t h, int64_t, int64_t s) { return seen(h, s) ? 0.0 : -kInf; },
        [&](const Shape &n) {
          return std::pair(size_t(n.heads * n.s),
                           [s = n.s, &seen](size_t i) { return seen(int64_t(i) / s, int64_t(i) % s) ? 1.0f : 0.0f; });
        });
  }
}

TEST(Attention, ProjectionsAndResultInRows) {
  // Heads lie beside each other in the rows of projections, and so does the result.
  const char *text = R"(rt.kernel @k(
      %q: tensor<2x7x3x16xf32>, %k: tensor<2x45x3x16xf32>, %v: tensor<2x45x3x16xf32>) -> tensor<2x7x3x16xf32> {
    %qt = ds.transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x7x3x16xf32>) -> tensor<2x3x7x16xf32>
    %kt = ds.transpose %k {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x45x3x16xf32>) -> tensor<2x3x45x16xf32>
    %vt = ds.transpose %v {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x45x3x16xf32>) -> tensor<2x3x45x16xf32>
    %y = ds.attention %qt, %kt, %vt {scale = 0.25 : f64} :
      (tensor<2x3x7x16xf32>, tensor<2x3x45x16xf32>, tensor<2x3x45x16xf32>) -> tensor<2x3x7x16xf32>
    %yt = ds.transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<2x3x7x16xf32>) -> tensor<2x7x3x16xf32>
    rt.yield %yt : tensor<2x7x3x16xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Shape n{6, 7, 45, 16, 16};
  Buffer<float> q = randomFloats(n.heads * n.t * n.d, 1, 2.0f), k = randomFloats(n.heads * n.s * n.d, 2);
  Buffer<float> v = randomFloats(n.heads * n.s * n.e, 3), y(n.heads * n.t * n.e);
  ASSERT_EQ(kernel->run({}, {q.data(), k.data(), v.data(), y.data()}), 0);
  // [b][rows][3][16] -> [b][3][rows][16]
  auto heads = [](const Buffer<float> &x, int64_t rows) {
    return Buffer<float>(x.size(), [&](size_t i) {
      int64_t d = i % 16, r = i / 16 % rows, h = i / 16 / rows % 3, b = i / 16 / rows / 3;
      return x[((b * rows + r) * 3 + h) * 16 + d];
    });
  };
  Options options;
  options.scale = 0.25;
  auto expected = reference(n, heads(q, 7).data(), heads(k, 45).data(), heads(v, 45).data(), options, {});
  expectNear(heads(y, 7), expected, "projections");
}

TEST(Attention, TransposedKeys) {
  const char *text = R"(rt.kernel @k(
      %q: tensor<3x9x20xf32>, %k: tensor<3x20x37xf32>, %v: tensor<3x37x24xf32>) -> tensor<3x9x24xf32> {
    %kt = ds.transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<3x20x37xf32>) -> tensor<3x37x20xf32>
    %y = ds.attention %q, %kt, %v {scale = 0.25 : f64} :
      (tensor<3x9x20xf32>, tensor<3x37x20xf32>, tensor<3x37x24xf32>) -> tensor<3x9x24xf32>
    rt.yield %y : tensor<3x9x24xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Shape n{3, 9, 37, 20, 24};
  Buffer<float> q = randomFloats(3 * 9 * 20, 1), k = randomFloats(3 * 37 * 20, 2), v = randomFloats(3 * 37 * 24, 3);
  Buffer<float> y(3 * 9 * 24);
  ASSERT_EQ(kernel->run({}, {q.data(), k.data(), v.data(), y.data()}), 0);
  Buffer<float> rows(k.size(), [&](size_t i) { return k[(i / 740 * 20 + i % 20) * 37 + i / 20 % 37]; });
  Options options;
  options.scale = 0.25;
  expectNear(y, reference(n, q.data(), rows.data(), v.data(), options, {}), "transposed keys");
}

TEST(Attention, StaticDecoding) {
  const char *text = R"(rt.kernel @k(
      %q: tensor<2x1x64xf32>, %k: tensor<2x?x64xf32> {ds.shape = #ds.shape<["2", "S", "64"]>},
      %v: tensor<2x?x64xf32> {ds.shape = #ds.shape<["2", "S", "64"]>}) -> tensor<2x1x64xf32> {
    %y = ds.attention %q, %k, %v {scale = 0.125 : f64} :
      (tensor<2x1x64xf32>, tensor<2x?x64xf32>, tensor<2x?x64xf32>) -> tensor<2x1x64xf32>
    rt.yield %y : tensor<2x1x64xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  for (int64_t s : {1, 17, 300}) {
    Shape n{2, 1, s, 64, 64};
    Buffer<float> q = randomFloats(128, 1), k = randomFloats(128 * s, 2), v = randomFloats(128 * s, 3), y(128);
    ASSERT_EQ(kernel->run({{"S", s}}, {q.data(), k.data(), v.data(), y.data()}), 0);
    expectNear(y, reference(n, q.data(), k.data(), v.data(), Options(), {}), describe(n));
  }
}

TEST(Attention, HalvesAndDoubles) {
  for (const char *type : {"f16", "f64"}) {
    std::string t = std::string("tensor<2x9x20x") + type + ">";
    std::string text = "rt.kernel @k(%q: " + t + ", %k: " + t + ", %v: " + t + ") -> " + t +
                       " {\n%y = ds.attention %q, %k, %v {scale = 0.25 : f64} : (" + t + ", " + t + ", " + t + ") -> " +
                       t + "\nrt.yield %y : " + t + "\n}";
    auto kernel = CompiledKernel::compile(text);
    ASSERT_TRUE(kernel);
    auto value = [](size_t i) { return float(i * 7919 % 31) / 16 - 1; };
    Buffer<float> x(360, value);
    Options options;
    options.scale = 0.25;
    auto expected = reference({2, 9, 9, 20, 20}, x.data(), x.data(), x.data(), options, {});
    if (std::string(type) == "f64") {
      Buffer<double> wide(360, value), y(360);
      ASSERT_EQ(kernel->run({}, {wide.data(), wide.data(), wide.data(), y.data()}), 0);
      for (size_t i = 0; i < 360; ++i)
        ASSERT_NEAR(y[i], expected[i], 1e-6);
    } else {
      Buffer<_Float16> narrow(360, [&](size_t i) { return _Float16(value(i)); }), y(360);
      ASSERT_EQ(kernel->run({}, {narrow.data(), narrow.data(), narrow.data(), y.data()}), 0);
      for (size_t i = 0; i < 360; ++i)
        ASSERT_NEAR(float(y[i]), expected[i], 1e-3);
    }
  }
}

} // namespace
} // namespace ds::test
