//===- CheckpointTest.cpp ----------------------------------------------------===//
#include "runtime/train/Checkpoint.h"
#include "TestFiles.h"
#include "ds_hash.h"
#include "runtime/train/AtomicFile.h"
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ds::runtime;
using namespace ds::test;

namespace {

std::string withLength(const std::string &header, const std::string &data = "") {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), sizeof length) + header + data;
}

/// Puts the checksum in where 16 zeros are.
std::string sealed(std::string bytes) {
  const uint64_t hash = ds_hash_bytes(bytes.data(), bytes.size());
  char digits[17];
  snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return bytes.replace(bytes.find("0000000000000000"), 16, digits);
}

const std::string metadata =
    R"("__metadata__":{"format":"ds-checkpoint","format_version":"1","hash":"0000000000000000",)"
    R"("step":"12","epoch":"1","sample":"40","samples":"90","seed":"7"})";
const std::string tensors = R"("fc.weight":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},)"
                            R"("a\"b\u00e9\ud83d\ude00":{"dtype":"F32","shape":[],"data_offsets":[16,20]},)"
                            R"("none":{"dtype":"I64","shape":[3,0],"data_offsets":[20,20]})";
const std::string data = "0123456789abcdefWXYZ";

std::string checkpoint() { return sealed(withLength("{" + metadata + "," + tensors + "}   ", data)); }

std::string open(Checkpoint &out, const std::string &bytes) {
  static TestFolder folder;
  const std::string path = folder.file("c.safetensors");
  unlink(path.c_str()); // the last one may be mapped
  writeFile(path, bytes);
  ds_error error = {};
  return out.open(path.c_str(), &error) ? error.message : "";
}

std::string read(const std::string &header, const std::string &bytes = "") {
  Safetensors file;
  const std::string all = withLength(header, bytes);
  const char *problem = file.read(reinterpret_cast<const unsigned char *>(all.data()), all.size());
  return problem ? problem : "";
}

} // namespace

TEST(Safetensors, NamesShapesAndData) {
  const std::string all = checkpoint();
  Safetensors file;
  ASSERT_EQ(file.read(reinterpret_cast<const unsigned char *>(all.data()), all.size()), nullptr);
  ASSERT_EQ(file.size(), 3u);
  EXPECT_STREQ(file.name(file[0]), "fc.weight");
  EXPECT_STREQ(file.name(file[1]), "a\"b\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(file[0].Dtype, DS_FLOAT64);
  EXPECT_EQ(file[0].Rank, 2u);
  EXPECT_EQ(file.shape(file[0])[0], 2);
  EXPECT_EQ(std::string(reinterpret_cast<const char *>(file[1].Data), file[1].Bytes), "WXYZ");
  EXPECT_EQ(file[2].Bytes, 0u);
  EXPECT_STREQ(file.metadata("step"), "12");
  EXPECT_EQ(file.metadata("stop"), nullptr);
  EXPECT_EQ(memcmp(all.data() + file.placeOf("seed"), "7\"", 2), 0);
}

TEST(Safetensors, WhatAHeaderClaimsIsChecked) {
  EXPECT_EQ(read("{}"), "");
  EXPECT_EQ(read(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "xy"), "");
  for (const char *header : {"",
                             "{",
                             "[]",
                             "{}{}",
                             R"({"a"})",
                             R"({"a":1})",
                             R"({"a":{}})",
                             R"({,})",
                             R"({"__metadata__":{"a":1}})",
                             R"({"__metadata__":{"a":"b" "c":"d"}})",
                             R"({"__metadata__":{},"__metadata__":{}})",
                             R"({"a":{"dtype":"U8","shape":[2]}})",
                             R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                             R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})",
                             R"({"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})",
                             R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,2]}})",
                             R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":1}})",
                             R"({"a\u0000":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                             R"({"a\ud800":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                             R"({"a\x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                             "{\"a\n\":{}}"})
    EXPECT_EQ(read(header, "xy"), "its header is damaged") << header;
  // A type without an end moves what was read before it.
  EXPECT_EQ(read(R"({"a":{"dtype":")" + std::string(100000, 'U')), "its header is damaged");
  EXPECT_EQ(read(R"({"a":{"dtype":"C64","shape":[2],"data_offsets":[0,2]}})", "xy"),
            "it has a tensor of a type that models do not have");
  for (const char *header :
       {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}})",
        R"({"a":{"dtype":"I16","shape":[2],"data_offsets":[0,2]}})",
        R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
        R"({"a":{"dtype":"I64","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,2]}})"})
    EXPECT_EQ(read(header, "xy"), "the places of its tensors do not fit their sizes, or its size") << header;
  EXPECT_EQ(read(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "xy"),
            "it has more data than its header describes");
}

TEST(Checkpoint, SaysHowFarTheRunWas) {
  Checkpoint c;
  ASSERT_EQ(open(c, checkpoint()), "");
  EXPECT_EQ(c.progress().Steps, 12u);
  EXPECT_EQ(c.progress().Epoch, 1u);
  EXPECT_EQ(c.progress().Sample, 40u);
  EXPECT_EQ(c.progress().Samples, 90u);
  EXPECT_EQ(c.progress().Seed, 7u);
}

TEST(Checkpoint, NoTruncationIsTakenForAWholeOne) {
  const std::string whole = checkpoint();
  for (size_t size = 0; size < whole.size(); ++size) {
    Checkpoint c;
    EXPECT_NE(open(c, whole.substr(0, size)), "") << size;
  }
  Checkpoint c;
  EXPECT_NE(open(c, whole + '\0'), "");
}

TEST(Checkpoint, NoFlippedBitGoesUnseen) {
  const std::string whole = checkpoint();
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = whole;
      bad[i] = char(bad[i] ^ (1 << bit));
      Checkpoint c;
      EXPECT_NE(open(c, bad), "") << i << ", " << bit;
    }
}

TEST(Checkpoint, OtherFilesAreToldApart) {
  auto without = [](const std::string &what, const std::string &other) {
    std::string header = metadata;
    header.replace(header.find(what), what.size(), other);
    Checkpoint c;
    return open(c, sealed(withLength("{" + header + "}")));
  };
  Checkpoint c;
  EXPECT_NE(open(c, withLength("{}")).find("no training program wrote it"), std::string::npos);
  EXPECT_NE(without("ds-checkpoint", "pt").find("no training program wrote it"), std::string::npos);
  EXPECT_NE(without("version\":\"1", "version\":\"2").find("has format version 2, this program reads version 1"),
            std::string::npos);
  EXPECT_NE(without("\"step\"", "\"stop\"").find("does not say its step"), std::string::npos);
  EXPECT_NE(without("\"40\"", "\"91\"").find("past the last sample"), std::string::npos);
  EXPECT_NE(without("\"40\"", "\"-1\"").find("does not say its sample"), std::string::npos);
  EXPECT_NE(without("\"40\"", "\"99999999999999999999\"").find("does not say its sample"), std::string::npos);
}

TEST(AtomicFile, WhatIsNotCommittedIsNotThere) {
  TestFolder folder;
  const std::string path = folder.file("f");
  writeFile(path, "old");
  {
    AtomicFile file;
    ASSERT_TRUE(file.create(path.c_str()) && file.write("new", 3));
    EXPECT_EQ(readFile(path), "old");
    EXPECT_EQ(readFile(path + ".tmp"), "new");
  }
  EXPECT_EQ(readFile(path), "old");
  EXPECT_NE(access((path + ".tmp").c_str(), F_OK), 0);
  writeFile(path + ".tmp", "what a killed program left, which is longer");
  AtomicFile file;
  ASSERT_TRUE(file.create(path.c_str()) && file.write("new", 3) && file.commit());
  EXPECT_EQ(readFile(path), "new");
  EXPECT_NE(access((path + ".tmp").c_str(), F_OK), 0);
  AtomicFile none;
  EXPECT_FALSE(none.create(folder.file("no/f").c_str()));
}
