//===- WinogradFormTest.cpp - The matrices of Winograd's algorithm --------===//
#include "lib/Codegen/CPU/WinogradForm.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

namespace ds {
namespace {

using Matrix = std::vector<double>;

/// left [rows, inner] times middle [inner, inner2] times transposed left.
Matrix sandwich(const Matrix &left, const Matrix &middle, int64_t rows, int64_t inner) {
  Matrix result(rows * rows);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < rows; ++j)
      for (int64_t k = 0; k < inner; ++k)
        for (int64_t l = 0; l < inner; ++l)
          result[i * rows + j] += left[i * inner + k] * middle[k * inner + l] * left[j * inner + l];
  return result;
}

TEST(Winograd, IsTheConvolutionOfASquare) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> number(-1, 1);
  for (int64_t outputs : {2, 4}) {
    const WinogradForm &form = winogradForm(outputs);
    ASSERT_EQ(form.outputs, outputs);
    ASSERT_EQ(form.side, outputs + 2);
    Matrix filter(9), square(form.side * form.side);
    for (double &value : filter)
      value = number(random);
    for (double &value : square)
      value = number(random);
    Matrix products = sandwich(form.filter, filter, form.side, 3);
    Matrix inputs = sandwich(form.input, square, form.side, form.side);
    for (size_t i = 0; i < products.size(); ++i)
      products[i] *= inputs[i];
    Matrix result = sandwich(form.output, products, outputs, form.side);
    for (int64_t y = 0; y < outputs; ++y)
      for (int64_t x = 0; x < outputs; ++x) {
        double sum = 0;
        for (int64_t r = 0; r < 3; ++r)
          for (int64_t s = 0; s < 3; ++s)
            sum += filter[r * 3 + s] * square[(y + r) * form.side + x + s];
        EXPECT_NEAR(result[y * outputs + x], sum, 1e-12) << outputs << " " << y << " " << x;
      }
  }
}

} // namespace
} // namespace ds
