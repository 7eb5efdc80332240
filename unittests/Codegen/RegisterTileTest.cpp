//===- RegisterTileTest.cpp - How rows are cut into tiles and blocks ------===//
#include "lib/Codegen/CPU/RegisterTile.h"
#include "gtest/gtest.h"

namespace ds {
namespace {

TEST(RegisterTile, AccumulatorsFitTheRegisters) {
  for (int64_t registers : {16, 32})
    for (int64_t vectors : {1, 2}) {
      int64_t rows = tallestTile(vectors, registers);
      EXPECT_LE(rows * vectors + vectors, registers) << registers << " " << vectors;
      EXPECT_GE(rows, 4);
    }
}

TEST(RegisterTile, TilesAreFewAndOfOneHeight) {
  for (int64_t rows = 1; rows <= 200; ++rows) {
    int64_t height = tileHeight(rows, 12), tiles = (rows + height - 1) / height;
    EXPECT_LE(height, 12) << rows;
    EXPECT_EQ(tiles, (rows + 11) / 12) << rows;
    // The last tile moves back by less than one row a tile.
    EXPECT_LT(tiles * height - rows, tiles) << rows;
    EXPECT_LE(height, rows) << rows;
  }
}

TEST(RegisterTile, BlocksComputeFewRowsTwice) {
  auto computed = [](int64_t rows, int64_t block) {
    int64_t total = 0;
    for (int64_t first = 0; first < rows; first += block) {
      int64_t count = std::min(block, rows - first), height = tileHeight(count, 12);
      total += (count + height - 1) / height * height;
    }
    return total;
  };
  EXPECT_EQ(balancedBlock(49, 100, 12), 49);
  for (int64_t rows : {49, 196, 784, 3136, 12544, 1000})
    for (int64_t most : {12, 40, 96, 192}) {
      int64_t block = balancedBlock(rows, most, 12);
      EXPECT_GE(block, 1);
      EXPECT_LE(block, most);
      EXPECT_LE(computed(rows, block), rows + rows / 12 + 12) << rows << " in blocks of " << block;
    }
}

} // namespace
} // namespace ds
