//===- HashTest.cpp - Vectors of the XXH64 specification ---------------------===//
#include "ds_hash.h"
#include <gtest/gtest.h>
#include <string>

TEST(Hash, KnownVectors) {
  EXPECT_EQ(ds_hash_bytes("", 0), 0xEF46DB3751D8E999u);
  EXPECT_EQ(ds_hash_bytes("abc", 3), 0x44BC2CF5AD770999u);
  const std::string text = "Nobody inspects the spammish repetition";
  EXPECT_EQ(ds_hash_bytes(text.data(), text.size()), 0xFBCEA83C8A378BF1u);
}

TEST(Hash, PiecesMakeNoDifference) {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text.push_back(char(i * 7));
  for (size_t cut = 0; cut <= text.size(); ++cut)
    for (size_t next : {cut, (cut + text.size()) / 2}) {
      ds_hash hash;
      ds_hash_start(&hash);
      ds_hash_add(&hash, text.data(), cut);
      ds_hash_add(&hash, text.data() + cut, next - cut);
      ds_hash_add(&hash, text.data() + next, text.size() - next);
      EXPECT_EQ(ds_hash_finish(&hash), ds_hash_bytes(text.data(), text.size()));
    }
}
