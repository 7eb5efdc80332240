//===- InputsTest.cpp - Dimensions of a model's inputs --------------------===//
#include "lib/Import/Onnx/Inputs.h"

#include <gmock/gmock.h>

using namespace ds;
using namespace ds::importer;
using testing::HasSubstr;

namespace {

std::string text(InputDims &inputs, llvm::StringRef name, llvm::ArrayRef<DeclaredDim> dims) {
  std::string error, result;
  auto resolved = inputs.resolve(name, dims, error);
  if (!resolved)
    return "error: " + error;
  for (const SymExpr &dim : *resolved)
    result += (result.empty() ? "" : " ") + dim.str();
  return result;
}

TEST(InputDims, NamesThatExportersInventAreAnonymous) {
  for (const char *name : {"", "?", "unk__12", "p2o.DynamicDimension.0"})
    EXPECT_TRUE(isAnonymousDim(name)) << name;
  for (const char *name : {"N", "batch", "unknown", "d0"})
    EXPECT_FALSE(isAnonymousDim(name)) << name;
}

TEST(InputDims, EqualAnonymousNamesAreDifferentSymbols) {
  ImportOptions options;
  InputDims inputs(options);
  EXPECT_EQ(text(inputs, "x", {std::string("?"), int64_t(3), std::string("?")}), "d0 3 d1");
  EXPECT_EQ(text(inputs, "y", {std::string("N"), std::string()}), "N d2");
  ASSERT_EQ(inputs.displayNames().size(), 2u);
  EXPECT_EQ(inputs.displayNames()[1], std::make_pair(std::string("d1"), std::string("?")));
}

TEST(InputDims, FreshSymbolsAvoidNamesOfTheModel) {
  ImportOptions options;
  InputDims inputs(options);
  inputs.reserve({std::string("d0"), std::string("d1")});
  EXPECT_EQ(text(inputs, "x", {std::string("?"), std::string("d0")}), "d2 d0");
}

TEST(InputDims, SizesArePutInBySymbolAndByIndex) {
  ImportOptions options{{{"N", 4}, {"y:1", 7}}};
  InputDims inputs(options);
  EXPECT_EQ(text(inputs, "x", {std::string("N"), std::string("S")}), "4 S");
  EXPECT_EQ(text(inputs, "y", {std::string("N"), std::string("?")}), "4 7");
  EXPECT_EQ(inputs.unusedOption(), "");
}

TEST(InputDims, ASizeThatNoDimensionHasIsReported) {
  ImportOptions options{{{"Q", 4}}};
  InputDims inputs(options);
  EXPECT_EQ(text(inputs, "x", {std::string("N")}), "N");
  EXPECT_THAT(inputs.unusedOption(), HasSubstr("names 'Q', but the model's symbolic dimensions are N"));
}

TEST(InputDims, StaticDimensionsKeepTheirSize) {
  ImportOptions options{{{"x:0", 4}}};
  InputDims inputs(options);
  EXPECT_THAT(text(inputs, "x", {int64_t(3)}), HasSubstr("is 3 and cannot become 4"));
  EXPECT_THAT(text(inputs, "y", {int64_t(-3)}), HasSubstr("is negative: -3"));
}

TEST(InputDims, QuotesInNamesCannotBreakExpressions) {
  ImportOptions options;
  InputDims inputs(options);
  std::string error;
  auto dims = inputs.resolve("x", {std::string("a'+b\n")}, error);
  ASSERT_TRUE(dims);
  EXPECT_EQ((*dims)[0].symbolName(), "a_+b_");
  EXPECT_EQ(SymExpr::parse((*dims)[0].str()), (*dims)[0]);
}

TEST(InputDims, NamesThatDifferInOneCharacterAreDifferentSymbols) {
  ImportOptions options{{{"b\"a", 3}}};
  InputDims inputs(options);
  std::vector<DeclaredDim> dims;
  for (const char *name : {"N_", "N'", "N\x01", "\xe6\x89\xb9", "\xe9\x95\xbf", "?0", "_0", "N'", "b\"a"})
    dims.push_back(std::string(name));
  inputs.reserve(dims);
  std::string error;
  std::optional<SymDims> symbols = inputs.resolve("x", dims, error);
  ASSERT_TRUE(symbols) << error;
  for (size_t i = 0; i < dims.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_EQ((*symbols)[i] == (*symbols)[j], dims[i] == dims[j]) << i << " " << j;
  EXPECT_EQ((*symbols)[0].symbolName(), "N_");
  EXPECT_EQ(inputs.find("N'"), (*symbols)[1]);
  EXPECT_EQ((*symbols)[8], SymExpr(3)); // by the model's own name
  EXPECT_EQ(inputs.unusedOption(), "");
}

} // namespace
