//===- NpzTest.cpp -----------------------------------------------------------===//
#include "Inflate.h"
#include "Npy.h"
#include "NpzSamples.h"
#include "TestFiles.h"
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

using namespace ds::runtime;
using namespace ds::test;

namespace {

using Names = std::vector<std::pair<std::string, std::string>>; // with the data

ds_status collect(void *context, const char *name, NpyArray &array, ds_error *error) {
  static_cast<Names *>(context)->emplace_back(name, std::string(array.Data, array.Bytes));
  return DS_OK;
}

std::string read(std::string_view bytes, Names &names) {
  TestFolder folder;
  const std::string path = folder.file("x.npz");
  writeFile(path, bytes);
  ds_error error = {};
  return readNpz(path.c_str(), collect, &names, &error) ? error.message : "";
}

} // namespace

TEST(Inflate, DynamicCodes) {
  std::vector<unsigned char> out(600);
  ASSERT_TRUE(inflate(dynamicBlock, sizeof dynamicBlock, out.data(), out.size()));
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(out[i], (i * i / 7) & 15) << i;
}

TEST(Inflate, FixedCodesAndRepetition) {
  char out[20];
  ASSERT_TRUE(inflate(fixedBlock, sizeof fixedBlock, out, sizeof out));
  EXPECT_EQ(std::string(out, sizeof out), "banana banana banana");
  EXPECT_FALSE(inflate(fixedBlock, sizeof fixedBlock, out, 19));
  std::vector<char> larger(21);
  EXPECT_FALSE(inflate(fixedBlock, sizeof fixedBlock, larger.data(), larger.size()));
}

TEST(Inflate, StoredBlocks) {
  const unsigned char stored[] = {0, 2, 0, 0xFD, 0xFF, 'a', 'b', 1, 1, 0, 0xFE, 0xFF, 'c'};
  char out[3];
  ASSERT_TRUE(inflate(stored, sizeof stored, out, 3));
  EXPECT_EQ(std::string(out, 3), "abc");
}

TEST(Inflate, NoDamageCrashes) {
  std::vector<unsigned char> out(600);
  for (size_t i = 0; i < sizeof dynamicBlock; ++i) {
    EXPECT_FALSE(inflate(dynamicBlock, i, out.data(), out.size()));
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<unsigned char> bad(dynamicBlock, dynamicBlock + sizeof dynamicBlock);
      bad[i] ^= 1 << bit;
      inflate(bad.data(), bad.size(), out.data(), out.size());
    }
  }
}

TEST(Inflate, ChecksumOfZip) { EXPECT_EQ(crc32("123456789", 9), 0xCBF43926u); }

TEST(Npz, ReadsWhatNumpyWrites) {
  Names names;
  ASSERT_EQ(read(bytesOf(compressedNpz), names), "");
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0].first, "x");
  EXPECT_EQ(names[1].first, "y");
  EXPECT_EQ(names[1].second, std::string("\1\0", 2));
  ASSERT_EQ(names[0].second.size(), 48u);
  for (int i = 0; i < 12; ++i) {
    float value;
    memcpy(&value, names[0].second.data() + 4 * i, 4);
    EXPECT_EQ(value, float(i));
  }
  names.clear();
  ASSERT_EQ(read(bytesOf(plainNpz), names), "");
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(names[0].first, "a/b");
  EXPECT_EQ(names[0].second, std::string("\7\0\0\0\0\0\0\0", 8));
}

TEST(Npz, NoDamageCrashes) {
  for (std::string_view good : {bytesOf(compressedNpz), bytesOf(plainNpz)})
    for (size_t i = 0; i < good.size(); ++i) {
      Names names;
      EXPECT_NE(read(good.substr(0, i), names), "") << i;
      std::string bad(good);
      bad[i] = char(bad[i] ^ 0x55);
      read(bad, names);
    }
}

TEST(Npz, SaysWhatIsWrong) {
  Names names;
  EXPECT_NE(read("no archive, but long enough to be one", names).find("no central directory"), std::string::npos);
  std::string bad(bytesOf(plainNpz));
  bad[bad.find("\x93NUMPY") + 130] ^= 1;
  EXPECT_NE(read(bad, names).find("checksum"), std::string::npos);
}
