//===- StringsTest.cpp -------------------------------------------------------===//
#include "runtime/strings/Strings.h"
#include "runtime/strings/Regex.h"
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

using namespace ds::runtime;

namespace {

int64_t number(StringTable &table, const std::string &text) {
  int64_t result = -1;
  EXPECT_TRUE(table.number(text.data(), text.size(), result));
  return result;
}

std::string text(const StringTable &table, int64_t number) {
  ds_string result = {};
  EXPECT_TRUE(table.text(number, result));
  EXPECT_EQ(result.data[result.size], 0);
  return {result.data, result.size};
}

TEST(Strings, EqualOnesHaveEqualNumbers) {
  StringTable table;
  const ds_string own[] = {{"", 0}, {"yes", 3}, {"no", 2}};
  ASSERT_TRUE(table.begin(own, 3));
  EXPECT_EQ(number(table, ""), 0);
  EXPECT_EQ(number(table, "no"), 2);
  EXPECT_EQ(number(table, "new"), 3);
  EXPECT_EQ(number(table, std::string("new\0more", 8)), 4);
  EXPECT_EQ(number(table, "new"), 3);
  EXPECT_EQ(text(table, 4), std::string("new\0more", 8));
  ds_string none;
  EXPECT_FALSE(table.text(5, none));
  EXPECT_FALSE(table.text(-1, none));
}

TEST(Strings, ARunForgetsTheOneBefore) {
  StringTable table;
  const ds_string own[] = {{"", 0}, {"own", 3}};
  std::mt19937 random(5);
  uint64_t memory = 0;
  for (int run = 0; run < 20; ++run) {
    ASSERT_TRUE(table.begin(own, 2));
    EXPECT_EQ(table.size(), 2u);
    std::vector<std::string> all = {"", "own"};
    for (int i = 0; i < 3000; ++i) {
      std::string each = std::to_string(random() % 100000) + std::string(random() % 50, 'x');
      int64_t found = number(table, each);
      if (found == int64_t(all.size()))
        all.push_back(each);
      ASSERT_EQ(all.at(size_t(found)), each);
    }
    for (size_t i = 0; i < all.size(); ++i)
      ASSERT_EQ(text(table, int64_t(i)), all[i]);
    if (run == 10)
      memory = table.memory();
  }
  EXPECT_LT(table.memory(), memory + (64 << 10) * 2);
}

TEST(Strings, WhatARunNumberedStaysThroughTheNext) {
  StringTable table;
  const ds_string own[] = {{"", 0}};
  ASSERT_TRUE(table.begin(own, 1));
  ds_string kept;
  ASSERT_TRUE(table.text(number(table, "kept"), kept));
  ASSERT_TRUE(table.begin(own, 1));
  for (int i = 0; i < 1000; ++i)
    number(table, "other" + std::to_string(i));
  EXPECT_STREQ(kept.data, "kept");
  EXPECT_EQ(text(table, number(table, kept.data)), "kept");
}

TEST(Strings, OwnStringsOfAnotherProgram) {
  StringTable table;
  const ds_string own[] = {{"", 0}, {"a", 1}}, other[] = {{"", 0}, {"b", 1}, {"a", 1}};
  ASSERT_TRUE(table.begin(own, 2));
  EXPECT_EQ(number(table, "a"), 1);
  ASSERT_TRUE(table.begin(other, 3));
  EXPECT_EQ(number(table, "a"), 2);
  EXPECT_EQ(number(table, "b"), 1);
}

TEST(Regex, AnyPatternEndsInTime) {
  std::mt19937 random(7);
  const std::string letters = "ab*+?|()[]^$.{}1,2\\dwbQE-:i\xc3\xa9";
  unsigned good = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string pattern;
    for (unsigned length = random() % 16; pattern.size() < length;)
      pattern += letters[random() % letters.size()];
    Regex regex;
    if (!regex.parse(pattern.data(), pattern.size())) {
      EXPECT_NE(regex.problem(), nullptr);
      EXPECT_LE(regex.position(), pattern.size());
      continue;
    }
    ++good;
    bool failed;
    regex.matches("abba1", 5, failed);
    EXPECT_FALSE(failed);
  }
  EXPECT_GT(good, 1000u);
}

TEST(Regex, TimeIsLinear) {
  Regex regex;
  const std::string pattern = "(a|aa)*(a*)*b", given(100000, 'a');
  ASSERT_TRUE(regex.parse(pattern.data(), pattern.size()));
  bool failed;
  EXPECT_FALSE(regex.matches(given.data(), given.size(), failed));
  EXPECT_TRUE(regex.matches((given + "b").data(), given.size() + 1, failed));
}

TEST(Regex, LargeClassesAreReadInTime) {
  // Half a megabyte of ranges, the last first: sorted, each looked up in few steps, and in any case of letters too.
  std::string backwards;
  for (uint32_t c = 0x2ffff; c > 0x10000; c -= 2) {
    char bytes[4];
    backwards.append(bytes, encodeUtf8(c, bytes));
  }
  ASSERT_GT(backwards.size(), 250000u);
  const std::string text(20000, 'x');
  for (const char *head : {"[", "[^", "(?i)[", "(?i)[^"}) {
    Regex regex;
    const std::string pattern = head + backwards + "]*";
    ASSERT_TRUE(regex.parse(pattern.data(), pattern.size()));
    bool failed;
    EXPECT_EQ(regex.matches(text.data(), text.size(), failed), std::string(head).back() == '^');
    EXPECT_FALSE(failed);
  }
}

TEST(Regex, WorkForClassesIsBounded) {
  std::string ranges;
  for (int i = 0; i < 50000; ++i)
    ranges += "\\x{0}-\\x{2200}";
  const std::string patterns[] = {
      "([" + ranges + "]{1000}){1000}",                                // read again and again
      "(?i)[^" + ranges + "]",                                         // all letters, once
      "(?i)" + std::string(1, '(') + "[^\\x{0}-\\x{2200}]{1000}){99}", // all letters, many times
  };
  for (const std::string &pattern : patterns) {
    Regex regex;
    if (!regex.parse(pattern.data(), pattern.size()))
      EXPECT_NE(regex.problem(), nullptr);
  }
}

TEST(Regex, ClassesHoldWhatTheirRangesDo) {
  Regex regex;
  const std::string pattern = "[m-pa-cb-fz\\d_p-q]*";
  ASSERT_TRUE(regex.parse(pattern.data(), pattern.size()));
  bool failed;
  for (char c = 33; c < 127; ++c) {
    const bool expected =
        (c >= 'm' && c <= 'q') || (c >= 'a' && c <= 'f') || c == 'z' || (c >= '0' && c <= '9') || c == '_';
    EXPECT_EQ(regex.matches(&c, 1, failed), expected) << c;
  }
}

TEST(Regex, BytesThatAreNoCharacter) {
  Regex regex;
  ASSERT_TRUE(regex.parse("...", 3));
  bool failed;
  EXPECT_TRUE(regex.matches("\xff\xc3z", 3, failed));
  EXPECT_FALSE(regex.matches("a\xc3", 2, failed)); // two, and no byte is read past the end
  for (uint32_t c : {0x41u, 0xe9u, 0x4f60u, 0x1f600u, 0x10ffffu}) {
    char bytes[4];
    const size_t size = encodeUtf8(c, bytes);
    const char *at = bytes;
    EXPECT_EQ(decodeUtf8(at, bytes + size), c);
    EXPECT_EQ(at, bytes + size);
  }
  for (uint32_t c = 0; c < 0x2000; ++c) {
    EXPECT_EQ(lowerCase(lowerCase(c)), lowerCase(c)) << c;
    EXPECT_EQ(upperCase(upperCase(c)), upperCase(c)) << c;
  }
}

} // namespace
