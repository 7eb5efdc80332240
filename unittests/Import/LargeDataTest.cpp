//===- LargeDataTest.cpp - Large tensors are left where they are ----------===//
#include "lib/Import/Onnx/LargeData.h"

#include "llvm/Support/LEB128.h"

#include <gtest/gtest.h>

#include <random>

using namespace ds::importer;

namespace {

/// One length-delimited field of a message.
std::string field(unsigned number, const std::string &payload) {
  uint8_t bytes[10];
  std::string result;
  result.append(reinterpret_cast<char *>(bytes), llvm::encodeULEB128(number << 3 | 2, bytes));
  result.append(reinterpret_cast<char *>(bytes), llvm::encodeULEB128(payload.size(), bytes));
  return result + payload;
}

/// A model whose only initializer has `data`; the numbers are those of onnx.proto.
std::string modelWith(const std::string &data) {
  std::string tensor = field(8, "name") + field(9, data);
  return std::string("\x08\x08", 2) + field(7, field(5, tensor) + field(2, "graph"));
}

TEST(LargeData, SmallDataStays) {
  LargeData data;
  std::string model = modelWith(std::string(1023, 'x'));
  data.readFromMemory(model);
  EXPECT_EQ(data.extract(model), model);
}

TEST(LargeData, LargeDataBecomesAToken) {
  LargeData data;
  std::string bytes(100000, 'x'), model = modelWith(bytes);
  data.readFromMemory(model);
  std::optional<std::string> reduced = data.extract(model);
  ASSERT_TRUE(reduced);
  EXPECT_LT(reduced->size(), 2000u);
  std::string token = reduced->substr(reduced->find(std::string(8, '\0')), 1024);
  EXPECT_EQ(data.size(token), 100000u);
  std::string read(100000, '\0');
  EXPECT_TRUE(data.read(token, read.data()));
  EXPECT_EQ(read, bytes);
}

TEST(LargeData, DataOfAnotherSizeIsNoToken) {
  LargeData data;
  EXPECT_FALSE(data.size(std::string(1024, '\0')));
  EXPECT_FALSE(data.size("abc"));
}

TEST(LargeData, MalformedMessagesAreRefusedOrKept) {
  std::string model = modelWith(std::string(5000, 'x'));
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = model.substr(0, i % 2 ? model.size() : random() % model.size());
    for (unsigned changes = 1 + random() % 4; changes && !damaged.empty(); --changes)
      damaged[random() % std::min<size_t>(damaged.size(), 64)] = char(random());
    LargeData data;
    data.readFromMemory(damaged);
    (void)data.extract(damaged); // must neither crash nor read beyond the message
  }
}

TEST(LargeData, NestingIsBounded) {
  std::string graph = field(2, "g");
  for (int i = 0; i < 1000; ++i)
    graph = field(1, field(5, field(6, graph)));
  std::string model = field(7, graph);
  LargeData data;
  data.readFromMemory(model);
  EXPECT_FALSE(data.extract(model));
}

} // namespace
