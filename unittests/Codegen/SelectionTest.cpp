//===- SelectionTest.cpp - Scatters, top_k and running sums ---------------===//
#include "KernelRunner.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ds::test {
namespace {

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

std::string scatterElements(int axis, const char *reduction) {
  std::string attributes =
      "{axis = " + std::to_string(axis) + " : i64, reduction = #ds.scatter_reduction<" + reduction + ">}";
  return R"(rt.kernel @k(%x: tensor<?x?xf32> {ds.shape = #ds.shape<["A", "B"]>},
    %i: tensor<?x?xi64> {ds.shape = #ds.shape<["I", "J"]>}, %u: tensor<?x?xf32> {ds.shape = #ds.shape<["I", "J"]>})
    -> tensor<?x?xf32> {
    %y = ds.scatter_elements %x, %i, %u )" +
         attributes + R"( : (tensor<?x?xf32>, tensor<?x?xi64>, tensor<?x?xf32>) -> tensor<?x?xf32>
    rt.yield %y : tensor<?x?xf32>
  })";
}

float combine(const std::string &reduction, float old, float value) {
  return reduction == "none"  ? value
         : reduction == "add" ? old + value
         : reduction == "mul" ? old * value
         : reduction == "max" ? std::max(old, value)
                              : std::min(old, value);
}

TEST(Scatter, ElementsOfBothAxes) {
  for (int axis : {0, 1})
    for (std::string reduction : {"none", "add", "mul", "max", "min"}) {
      auto kernel = CompiledKernel::compile(scatterElements(axis, reduction.c_str()));
      ASSERT_TRUE(kernel);
      for (auto [a, b, i, j] : {std::array<int64_t, 4>{9, 21, 5, 7}, {3, 3, 3, 3}, {4, 40, 0, 3}, {1, 5, 1, 2}}) {
        Buffer<float> x = randomFloats(a * b, 1), u = randomFloats(i * j, 2), y(a * b);
        int64_t size = axis == 0 ? a : b;
        Buffer<int64_t> index(i * j, [&](size_t n) { return int64_t(n * 7 % (2 * size)) - size; });
        std::vector<float> expected(x.data(), x.data() + x.size());
        for (int64_t p = 0; p < i; ++p)
          for (int64_t q = 0; q < j; ++q) {
            int64_t at = (index[p * j + q] + size) % size;
            float &target = expected[axis == 0 ? at * b + q : p * b + at];
            target = combine(reduction, target, u[p * j + q]);
          }
        for (int64_t pieces : {1, 2}) {
          ASSERT_EQ(kernel->run({{"A", a}, {"B", b}, {"I", i}, {"J", j}}, {x.data(), index.data(), u.data(), y.data()},
                                pieces),
                    0);
          for (size_t n = 0; n < y.size(); ++n)
            ASSERT_EQ(y[n], expected[n]) << reduction << " axis " << axis << " at " << n;
        }
      }
    }
}

TEST(Scatter, IndexOutOfRange) {
  for (int axis : {0, 1}) {
    auto kernel = CompiledKernel::compile(scatterElements(axis, "none"));
    ASSERT_TRUE(kernel);
    for (int64_t bad : {3, -4, 1000000, -1000000}) {
      Buffer<float> x = randomFloats(9, 1), u = randomFloats(1, 2), y(9);
      Buffer<int64_t> index(1, [&](size_t) { return bad; });
      EXPECT_EQ(kernel->run({{"A", 3}, {"B", 3}, {"I", 1}, {"J", 1}}, {x.data(), index.data(), u.data(), y.data()}), 1);
    }
  }
}

TEST(Scatter, Slices) {
  const char *text = R"(rt.kernel @k(%x: tensor<?x?x?xf32> {ds.shape = #ds.shape<["A", "B", "C"]>},
    %i: tensor<?x2xi32> {ds.shape = #ds.shape<["I", "2"]>}, %u: tensor<?x?xf32> {ds.shape = #ds.shape<["I", "C"]>})
    -> tensor<?x?x?xf32> {
    %y = ds.scatter_nd %x, %i, %u {reduction = #ds.scatter_reduction<add>} :
      (tensor<?x?x?xf32>, tensor<?x2xi32>, tensor<?x?xf32>) -> tensor<?x?x?xf32>
    rt.yield %y : tensor<?x?x?xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  int64_t a = 3, b = 4, c = 37, n = 6;
  Buffer<float> x = randomFloats(a * b * c, 1), u = randomFloats(n * c, 2), y(x.size());
  const int32_t tuples[] = {0, 0, 2, 3, -1, -1, 1, 2, 0, 0, 2, -4};
  Buffer<int32_t> index(12, [&](size_t i) { return tuples[i]; });
  std::vector<float> expected(x.data(), x.data() + x.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      expected[(((tuples[2 * i] + a) % a) * b + (tuples[2 * i + 1] + b) % b) * c + k] += u[i * c + k];
  for (int64_t pieces : {1, 3}) {
    ASSERT_EQ(
        kernel->run({{"A", a}, {"B", b}, {"C", c}, {"I", n}}, {x.data(), index.data(), u.data(), y.data()}, pieces), 0);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(y[i], expected[i]);
  }
  index[5] = 4;
  EXPECT_EQ(kernel->run({{"A", a}, {"B", b}, {"C", c}, {"I", n}}, {x.data(), index.data(), u.data(), y.data()}), 1);
}

TEST(Scatter, SingleElementsIntoAConstant) {
  const char *text = R"(rt.kernel @k(%i: tensor<3x1xi64>, %u: tensor<3xf32>) -> tensor<20xf32> {
    %x = ds.constant dense<2.0> : tensor<20xf32>
    %y = ds.scatter_nd %x, %i, %u : (tensor<20xf32>, tensor<3x1xi64>, tensor<3xf32>) -> tensor<20xf32>
    rt.yield %y : tensor<20xf32>
  })";
  auto kernel = CompiledKernel::compile(text);
  ASSERT_TRUE(kernel);
  Buffer<int64_t> index(3, [](size_t i) { return int64_t(i) * 7; });
  Buffer<float> u(3, [](size_t i) { return float(i) + 10; }), y(20);
  ASSERT_EQ(kernel->run({}, {index.data(), u.data(), y.data()}, 2), 0);
  for (size_t i = 0; i < 20; ++i)
    EXPECT_EQ(y[i], i % 7 == 0 ? float(i / 7) + 10 : 2.0f);
}

//===----------------------------------------------------------------------===//
// top_k
//===----------------------------------------------------------------------===//

std::string topK(int axis, bool smallest, const char *type) {
  std::string x = std::string("tensor<?x?x") + type + ">";
  return "rt.kernel @k(%x: " + x + " {ds.shape = #ds.shape<[\"A\", \"B\"]>}) -> (" + x +
         ", tensor<?x?xi64>) {\n%v, %i = ds.top_k %x {axis = " + std::to_string(axis) + " : i64" +
         (smallest ? ", smallest" : "") + ", sorted, count = #ds.shape<[\"K\"]>} : (" + x + ") -> (" + x +
         ", tensor<?x?xi64>)\nrt.yield %v, %i : " + x + ", tensor<?x?xi64>\n}";
}

template <typename T> void checkTopK(const char *type, std::function<T(size_t)> value) {
  for (int axis : {0, 1})
    for (bool smallest : {false, true}) {
      auto kernel = CompiledKernel::compile(topK(axis, smallest, type));
      ASSERT_TRUE(kernel);
      for (auto [a, b, k] :
           {std::array<int64_t, 3>{30, 17, 5}, {3, 3, 1}, {7, 7, 7}, {100, 100, 99}, {4, 4, 0}, {1, 1, 1}}) {
        Buffer<T> x(a * b, value);
        int64_t n = axis == 0 ? a : b, rows = axis == 0 ? b : a;
        Buffer<T> values(k * rows);
        Buffer<int64_t> indices(k * rows);
        ASSERT_EQ(kernel->run({{"A", a}, {"B", b}, {"K", k}}, {x.data(), values.data(), indices.data()}, 2), 0);
        for (int64_t r = 0; r < rows; ++r) {
          auto get = [&](int64_t i) { return axis == 0 ? x[i * b + r] : x[r * b + i]; };
          std::vector<int64_t> order(n);
          std::iota(order.begin(), order.end(), 0);
          std::stable_sort(order.begin(), order.end(),
                           [&](int64_t p, int64_t q) { return smallest ? get(p) < get(q) : get(p) > get(q); });
          for (int64_t i = 0; i < k; ++i) {
            int64_t at = axis == 0 ? i * rows + r : r * k + i;
            ASSERT_EQ(indices[at], order[i]) << type << " axis " << axis << " row " << r << " rank " << i;
            ASSERT_EQ(values[at], get(order[i]));
          }
        }
      }
    }
}

TEST(TopK, FloatsWithTies) {
  checkTopK<float>("f32", [](size_t i) { return float(i * 7919 % 101) / 7 - 6; });
  checkTopK<float>("f32", [](size_t i) { return i % 3 == 0 ? 0.0f : i % 3 == 1 ? -0.0f : -INFINITY; });
  checkTopK<double>("f64", [](size_t i) { return double(i * 7919 % 101) * 1e-9 - 5e-8; });
}
TEST(TopK, Integers) {
  checkTopK<int64_t>("i64", [](size_t i) { return (int64_t(i) * 7919 % 101 - 50) * (int64_t(1) << 55); });
  checkTopK<uint64_t>("ui64", [](size_t i) { return (uint64_t(i) * 7919 % 101) << 57; });
  checkTopK<int8_t>("i8", [](size_t i) { return int8_t(i * 37); });
  checkTopK<uint8_t>("ui8", [](size_t i) { return uint8_t(i * 37); });
}
TEST(TopK, NanIsGreatest) {
  auto kernel = CompiledKernel::compile(topK(1, false, "f32"));
  ASSERT_TRUE(kernel);
  Buffer<float> x(5, [](size_t i) { return i == 2 ? -std::nanf("") : i == 3 ? INFINITY : float(i); }), values(5);
  Buffer<int64_t> indices(5);
  ASSERT_EQ(kernel->run({{"A", 1}, {"B", 5}, {"K", 5}}, {x.data(), values.data(), indices.data()}), 0);
  const int64_t expected[] = {2, 3, 4, 1, 0};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(indices[i], expected[i]);
}

//===----------------------------------------------------------------------===//
// Running sums
//===----------------------------------------------------------------------===//

TEST(CumSum, AllForms) {
  for (int axis : {0, 1, 2})
    for (bool exclusive : {false, true})
      for (bool reverse : {false, true}) {
        std::string text = std::string(R"(rt.kernel @k(%x: tensor<?x?x?xf32> {ds.shape = #ds.shape<["A", "B", "C"]>})
          -> tensor<?x?x?xf32> {
          %y = ds.cum_sum %x {axis = )") +
                           std::to_string(axis) + " : i64" + (exclusive ? ", exclusive" : "") +
                           (reverse ? ", reverse" : "") + R"(} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
          rt.yield %y : tensor<?x?x?xf32>
        })";
        auto kernel = CompiledKernel::compile(text);
        ASSERT_TRUE(kernel);
        for (auto [a, b, c] : {std::array<int64_t, 3>{3, 4, 37}, {2, 1, 1}, {5, 6, 16}, {0, 2, 3}, {2, 3, 0}}) {
          const int64_t dims[] = {a, b, c}, strides[] = {b * c, c, 1};
          Buffer<float> x = randomFloats(a * b * c, 1), y(x.size());
          ASSERT_EQ(kernel->run({{"A", a}, {"B", b}, {"C", c}}, {x.data(), y.data()}, 2), 0);
          for (int64_t i = 0; i < int64_t(y.size()); ++i) {
            int64_t n = dims[axis], stride = strides[axis], j = i / stride % n, start = i - j * stride;
            double sum = 0;
            for (int64_t m = 0; m < n; ++m)
              if (m == j ? !exclusive : (m < j) != reverse)
                sum += x[start + m * stride];
            ASSERT_NEAR(y[i], sum, 1e-5) << axis << exclusive << reverse << " at " << i;
          }
        }
      }
}

} // namespace
} // namespace ds::test
