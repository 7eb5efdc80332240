//===- ShuffleTest.cpp -------------------------------------------------------===//
#include "runtime/train/Shuffle.h"
#include "runtime/train/Philox.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <vector>

using namespace ds::runtime;

static std::vector<uint32_t> draw(std::vector<uint32_t> counter, std::vector<uint32_t> key) {
  Philox philox;
  std::copy(counter.begin(), counter.end(), philox.Counter);
  std::copy(key.begin(), key.end(), philox.Key);
  uint32_t out[4];
  philox.draw(out);
  return {out, out + 4};
}

static std::vector<uint32_t> order(uint64_t seed, uint32_t epoch, size_t count) {
  Array<uint32_t> numbers;
  EXPECT_TRUE(numbers.resize(count));
  shuffle(seed, epoch, numbers);
  return {numbers.begin(), numbers.end()};
}

// The known answers that Random123 publishes for philox4x32_10 (kat_vectors).
TEST(Philox, KnownAnswers) {
  using Words = std::vector<uint32_t>;
  EXPECT_EQ(draw({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(draw({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(draw({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Written by an implementation in Python that knows the paper alone (order_of_epoch of test/e2e/training_step.py).
TEST(Shuffle, OrdersOfAReference) {
  EXPECT_EQ(order(0x0, 0, 12), (std::vector<uint32_t>{1, 4, 8, 10, 3, 6, 11, 7, 5, 9, 0, 2}));
  EXPECT_EQ(order(0x0, 1, 12), (std::vector<uint32_t>{1, 5, 8, 0, 11, 4, 7, 2, 3, 9, 6, 10}));
  EXPECT_EQ(order(0x123456789abcdef, 3, 20),
            (std::vector<uint32_t>{3, 1, 16, 17, 5, 6, 15, 2, 11, 7, 18, 8, 19, 13, 0, 12, 4, 9, 10, 14}));
}

TEST(Shuffle, EachNumberOnce) {
  for (size_t count : {0, 1, 2, 3, 1000, 4097}) {
    std::vector<uint32_t> numbers = order(3, 1, count);
    std::sort(numbers.begin(), numbers.end());
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(numbers[i], i);
  }
}

TEST(Shuffle, SeedAndEpochMatter) {
  const std::vector<uint32_t> numbers = order(1, 0, 100);
  EXPECT_EQ(numbers, order(1, 0, 100));
  EXPECT_NE(numbers, order(1, 1, 100));
  EXPECT_NE(numbers, order(2, 0, 100));
  EXPECT_NE(numbers, order(1 + (uint64_t(1) << 32), 0, 100));
}

// 24 orders of four numbers, 240 000 draws: chi squared with 23 degrees of freedom is above 60 once in 30 000 times.
TEST(Shuffle, AllOrdersAreAsLikely) {
  std::map<std::vector<uint32_t>, double> counts;
  for (uint64_t seed = 0; seed < 240000; ++seed)
    ++counts[order(seed, 0, 4)];
  ASSERT_EQ(counts.size(), 24u);
  double chiSquared = 0;
  for (const auto &[numbers, count] : counts)
    chiSquared += (count - 10000) * (count - 10000) / 10000;
  EXPECT_LT(chiSquared, 60);
}
