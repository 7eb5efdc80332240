//===- TensorTest.cpp - Strided copies, memory, text -------------------------===//
#include "Tensor.h"
#include "Memory.h"
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

using namespace ds::runtime;

TEST(Tensor, StridedCopiesBothWays) {
  std::vector<int32_t> source(24), dense(24), back(24, -1);
  std::iota(source.begin(), source.end(), 0);
  const int64_t shape[] = {4, 3, 2}, strides[] = {1, 4, 12}; // Fortran order
  ds_tensor strided = {source.data(), DS_INT32, 3, shape, strides};
  EXPECT_FALSE(isDense(strided, shape));
  copyToDense(dense.data(), strided, shape);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 2; ++k)
        EXPECT_EQ(dense[size_t(i * 6 + j * 2 + k)], i + 4 * j + 12 * k);
  strided.data = back.data();
  copyFromDense(strided, dense.data(), shape);
  EXPECT_EQ(back, source);
}

TEST(Tensor, NegativeAndZeroStrides) {
  const int8_t source[] = {1, 2, 3};
  int8_t dense[6];
  const int64_t shape[] = {2, 3}, strides[] = {0, -1};
  copyToDense(dense, {const_cast<int8_t *>(source) + 2, DS_INT8, 2, shape, strides}, shape);
  const int8_t expected[] = {3, 2, 1, 3, 2, 1};
  EXPECT_EQ(memcmp(dense, expected, 6), 0);
}

TEST(Tensor, StridesOfSingleElementsDoNotMatter) {
  const int64_t shape[] = {1, 5}, strides[] = {77, 1}, empty[] = {0, 5}, odd[] = {3, 3};
  EXPECT_TRUE(isDense({nullptr, DS_INT8, 2, shape, strides}, shape));
  EXPECT_TRUE(isDense({nullptr, DS_INT8, 2, empty, odd}, empty));
}

TEST(Tensor, SizesAreOverflowChecked) {
  int64_t bytes;
  const int64_t huge[] = {int64_t(1) << 40, int64_t(1) << 40}, empty[] = {int64_t(1) << 40, int64_t(1) << 40, 0};
  EXPECT_FALSE(denseBytes(huge, 2, 4, bytes));
  EXPECT_TRUE(denseBytes(empty, 3, 4, bytes));
  EXPECT_EQ(bytes, 0);
  EXPECT_TRUE(denseBytes(nullptr, 0, 8, bytes));
  EXPECT_EQ(bytes, 8);
}

TEST(Memory, GrowsAndAligns) {
  MemorySource source;
  Region region;
  for (int64_t size : {0, 1, 100000, 5 << 20, 3}) {
    ASSERT_TRUE(region.reserve(source, size));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(region.Data) % 64, 0u);
    if (size)
      region.Data[size - 1] = 1;
  }
  // What grew once has an eighth more, for the next time.
  EXPECT_EQ(source.held(), uint64_t(5 << 20) / 8 * 9);
  EXPECT_FALSE(region.reserve(source, int64_t(1) << 60));
  EXPECT_EQ(region.Data, nullptr);
  EXPECT_TRUE(region.reserve(source, 64));
  region.release(source);
  EXPECT_EQ(source.held(), 0u);
}

TEST(Support, MessagesAreOneLineThatEnds) {
  ds_error error;
  EXPECT_EQ(fail(&error, DS_BAD_INPUT, "a\nb\t%s", std::string(3000, 'x').c_str()), DS_BAD_INPUT);
  EXPECT_EQ(strlen(error.message), sizeof error.message - 1);
  EXPECT_EQ(std::string(error.message).substr(0, 5), "a b x");
  EXPECT_EQ(std::string(error.message).substr(1020), "...");
  // Characters of two and four bytes, at each place that the cut may have in them.
  for (std::string character : {"\u00fc", "\U0001f600"})
    for (size_t before = 0; before < character.size(); ++before) {
      std::string text(before, 'x');
      while (text.size() < 3000)
        text += character;
      fail(&error, DS_BAD_INPUT, "%s", text.c_str());
      const std::string message = error.message, cut = message.substr(0, message.size() - 3);
      EXPECT_EQ(message.substr(cut.size()), "...");
      EXPECT_EQ(cut, text.substr(0, cut.size()));
      EXPECT_EQ((cut.size() - before) % character.size(), 0u);
    }
  EXPECT_EQ(fail(nullptr, DS_IO_ERROR, "nobody listens"), DS_IO_ERROR);
}
