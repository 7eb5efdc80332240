//===- ElementsTest.cpp - Reading and making constant tensors -------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/element/SmallFloats.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace ds;
using namespace mlir;

namespace {

class ElementsTest : public ::testing::Test {
protected:
  MLIRContext context;
  Builder builder{&context};
  RankedTensorType type(ArrayRef<int64_t> shape, Type element) { return RankedTensorType::get(shape, element); }
};

TEST_F(ElementsTest, EveryIntegerTypeRoundTrips) {
  for (Type element : {builder.getIntegerType(8), builder.getIntegerType(16), builder.getIntegerType(32),
                       builder.getIntegerType(64), builder.getIntegerType(8, false)}) {
    std::optional<ElementsView> view = ElementsView::get(makeIntElements(type({3}, element), {1, 100, 0}));
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->getInt(1), 100);
  }
  std::optional<ElementsView> negative =
      ElementsView::get(makeIntElements(type({2}, builder.getIntegerType(8)), {-1, -128}));
  EXPECT_EQ(negative->getInt(0), -1);
  std::optional<ElementsView> large =
      ElementsView::get(makeIntElements(type({2}, builder.getIntegerType(8, false)), {255, 128}));
  EXPECT_EQ(large->getInt(0), 255);
}

TEST_F(ElementsTest, BoolsAreOneByteEachHoweverStored) {
  for (int64_t count : {3, 200}) {
    std::vector<char> bytes;
    for (int64_t i = 0; i < count; ++i)
      bytes.push_back(i % 3 == 0);
    std::optional<ElementsView> view = ElementsView::get(makeElements(type({count}, builder.getI1Type()), bytes));
    ASSERT_TRUE(view.has_value());
    for (int64_t i = 0; i < count; ++i)
      EXPECT_EQ(view->getInt(i), int64_t(i % 3 == 0)) << i;
  }
}

TEST_F(ElementsTest, SplatsAnswerEveryIndex) {
  auto attr = DenseElementsAttr::get(type({1000}, builder.getF32Type()), 1.5f);
  std::optional<ElementsView> view = ElementsView::get(attr);
  ASSERT_TRUE(view.has_value());
  EXPECT_TRUE(view->isSplat());
  EXPECT_EQ(view->getDouble(999), 1.5);
}

TEST_F(ElementsTest, LargeConstantsAreResources) {
  SmallVector<double> values(100, 0.25);
  ElementsAttr attr = makeFloatElements(type({100}, builder.getF16Type()), values);
  EXPECT_TRUE(isa<DenseResourceElementsAttr>(attr));
  EXPECT_EQ(ElementsView::get(attr)->getDouble(99), 0.25);
}

TEST_F(ElementsTest, NarrowFloatsRoundToNearestEven) {
  EXPECT_EQ(floatToHalf(65504.0f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00); // Rounds up to infinity.
  EXPECT_EQ(floatToHalf(0x1p-25f), 0);      // Half of the least subnormal, to even.
  EXPECT_EQ(halfToFloat(1), 0x1p-24f);
  EXPECT_EQ(halfToFloat(0xc000), -2.0f);
  EXPECT_EQ(floatToBfloat(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(floatToBfloat(1.0f + 0x1.8p-7f), 0x3f82);
  EXPECT_TRUE(std::isnan(bfloatToFloat(floatToBfloat(NAN))));
  for (uint32_t bits = 0; bits < 0x7c00; ++bits)
    ASSERT_EQ(floatToHalf(halfToFloat(uint16_t(bits))), bits);
}

// LLVM's own conversions are the reference.
TEST_F(ElementsTest, SmallFloatsAreThoseOfLLVM) {
  for (Type element : {Type(Float8E4M3FNType::get(&context)), Type(Float8E4M3FNUZType::get(&context)),
                       Type(Float8E5M2Type::get(&context)), Type(Float8E5M2FNUZType::get(&context)),
                       Type(Float4E2M1FNType::get(&context))}) {
    std::optional<SmallFloat> small = SmallFloat::get(element);
    ASSERT_TRUE(small.has_value());
    const llvm::fltSemantics &semantics = cast<FloatType>(element).getFloatSemantics();
    unsigned width = element.getIntOrFloatBitWidth();
    double largest = small->decode(small->largest);
    for (unsigned code = 0; code < 1u << width; ++code) {
      double expected = llvm::APFloat(semantics, APInt(width, code)).convertToDouble();
      double found = small->decode(code);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(found)) << code;
        continue;
      }
      EXPECT_EQ(found, expected) << code;
      if (std::isinf(expected))
        continue;
      EXPECT_EQ(small->encode(found), code);
      // Just beside it, and half way to its neighbours.
      for (double near : {found * (1 + 0x1p-20), found * (1 + 0x1p-5), found * (1 + 0x1p-4), found * (1 + 0x1p-3)}) {
        bool lossy;
        llvm::APFloat rounded(near);
        rounded.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &lossy);
        double wanted = std::fabs(near) >= largest ? std::copysign(largest, near) : rounded.convertToDouble();
        EXPECT_EQ(small->decode(small->encode(near)), wanted) << code << " " << near;
      }
    }
    EXPECT_EQ(small->decode(small->encode(1e30)), largest);
  }
}

TEST_F(ElementsTest, SmallIntegersAreTheLowBitsOfAByte) {
  auto elements = [&](unsigned width, bool isSigned, std::vector<char> bytes) {
    Type element = builder.getIntegerType(width, isSigned);
    if (isSigned)
      element = builder.getIntegerType(width);
    return ElementsView::get(makeElements(type({int64_t(bytes.size())}, element), bytes));
  };
  EXPECT_EQ(elements(4, true, {1, 15, 8})->getInt(1), -1);
  EXPECT_EQ(elements(4, true, {1, 15, 8})->getInt(2), -8);
  EXPECT_EQ(elements(4, false, {1, 15, 8})->getInt(1), 15);
  EXPECT_EQ(elements(2, true, {1, 2, 3})->getInt(1), -2);
  EXPECT_EQ(elements(2, false, {1, 2, 3})->getInt(2), 3);
}

} // namespace
