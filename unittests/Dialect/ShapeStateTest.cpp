//===- ShapeStateTest.cpp - Dims and contents of values -------------------===//
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/Verifier.h"
#include <gtest/gtest.h>

using namespace ds;
using namespace mlir;

namespace {

/// A block with one argument x of dims [N, 8], to build ops in.
class ShapeStateTest : public ::testing::Test {
protected:
  ShapeStateTest() : builder(&context) {
    context.loadDialect<DsDialect, func::FuncDialect>();
    module = ModuleOp::create(builder, builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
    auto type = RankedTensorType::get({ShapedType::kDynamic, 8}, builder.getF32Type());
    auto function = func::FuncOp::create(builder, builder.getUnknownLoc(), "f", builder.getFunctionType({type}, {}));
    Block *block = function.addEntryBlock();
    builder.setInsertionPointToEnd(block);
    x = block->getArgument(0);
    state.setDims(x, {N, SymExpr(8)});
  }

  /// Runs `f` and returns the diagnostics it emitted.
  std::string diagnosticsOf(function_ref<void()> f) {
    std::string text;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { text += diagnostic.str() + "\n"; });
    f();
    return text;
  }
  Value ints(ArrayRef<int64_t> values) {
    auto type = RankedTensorType::get({int64_t(values.size())}, builder.getI64Type());
    return ConstantOp::create(builder, loc, makeIntElements(type, values));
  }
  template <typename OpTy, typename... Args> Value make(Type element, Args &&...args) {
    FailureOr<OpTy> op = createInferred<OpTy>(builder, loc, state, element, std::forward<Args>(args)...);
    EXPECT_TRUE(succeeded(op));
    return succeeded(op) ? Value((*op)->getResult(0)) : Value();
  }

  MLIRContext context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
  Location loc = getNodeLoc(&context, "conv1", "Conv");
  ShapeState state;
  SymExpr N = SymExpr::symbol("N");
  Value x;
};

TEST_F(ShapeStateTest, NamesAreFoundWithoutTryingAllOthers) {
  // As many as 3 * 10^10 tries otherwise.
  constexpr unsigned kCount = 250000;
  state.reserveSymbols(SymExpr::symbol("b7"));
  for (unsigned i = 0; i < kCount; ++i)
    ASSERT_EQ(*state.boundSymbol("b").symbolName(), "b" + std::to_string(i < 7 ? i : i + 1));
  EXPECT_EQ(*state.boundSymbol("r").symbolName(), "r0");
}

TEST_F(ShapeStateTest, ADefinedSymbolIsTheSameAsItsValue) {
  SymExpr e = SymExpr::symbol("e0"), value = SymExpr::floorDiv(N, SymExpr(3)) + SymExpr(1);
  EXPECT_FALSE(state.isSame(e, value));
  DefineOp::create(builder, loc, builder.getStringAttr("e0"), ShapeAttr::get(&context, ArrayRef<SymExpr>{value}));
  ASSERT_TRUE(succeeded(inferOp(&builder.getInsertionBlock()->back(), state)));
  EXPECT_TRUE(state.isSame(e, value));
  EXPECT_TRUE(state.isSame(value, e));
  EXPECT_FALSE(state.isSame(e, value + SymExpr(1)));
  EXPECT_TRUE(state.isKnownOnEntry(e));
  // A tensor under the other name is the same one: nothing is left to check when the model runs.
  Value filled = make<FillOp>(builder.getF32Type(), Value(), ShapeAttr::get(&context, ArrayRef<SymExpr>{value}),
                              builder.getF32FloatAttr(1.0));
  Value named =
      make<ReshapeOp>(builder.getF32Type(), filled, Value(), ShapeAttr::get(&context, ArrayRef<SymExpr>{e}), false);
  EXPECT_EQ((*state.getDims(named))[0], e);
  EXPECT_TRUE(state.getConstraints().empty());
  EXPECT_EQ(state.boundSymbol("e").str(), "e1");
}

TEST_F(ShapeStateTest, CreateInferredSetsTheResultType) {
  Value sum = make<AddOp>(builder.getF32Type(), x, x);
  EXPECT_EQ(sum.getType(), x.getType());
  EXPECT_EQ((*state.getDims(sum))[0], N);
}

TEST_F(ShapeStateTest, CreateInferredFailsWithTheNodesName) {
  Value y = make<TransposeOp>(builder.getF32Type(), x, ArrayRef<int64_t>{1, 0});
  std::string text = diagnosticsOf([&] {
    Value z = make<ConcatOp>(builder.getF32Type(), ValueRange{x, x}, 1);
    EXPECT_TRUE(failed(createInferred<AddOp>(builder, loc, state, builder.getF32Type(), z, x)));
  });
  EXPECT_EQ(text, "node 'conv1' (Conv): expected dimension 1 of the operands to broadcast, got 16 and 8\n");
  EXPECT_TRUE(y.use_empty());
}

TEST_F(ShapeStateTest, ShapeChainsBecomeExpressions) {
  Type i64 = builder.getI64Type();
  Value shape = make<ShapeOfOp>(i64, x);
  Value first = make<GatherOp>(i64, shape, ints({0}), 0);
  Value target = make<ConcatOp>(i64, ValueRange{first, ints({2, -1})}, 0);
  Value y = make<ReshapeOp>(builder.getF32Type(), x, target, ShapeAttr(), false);
  SymDims expected{N, SymExpr(2), SymExpr(4)};
  EXPECT_EQ(*state.getDims(y), expected);
  EXPECT_TRUE(state.getConstraints().empty());
}

TEST_F(ShapeStateTest, FloatChainsAreExact) {
  Type i64 = builder.getI64Type(), f32 = builder.getF32Type();
  Value shape = make<ShapeOfOp>(i64, x, 0, 1);
  Value number = make<CastOp>(f32, shape, false);
  Value half = make<DivOp>(f32, number,
                           ConstantOp::create(builder, loc, makeFloatElements(RankedTensorType::get({}, f32), {2.0})));
  Value floored = make<CastOp>(i64, make<FloorOp>(f32, half), false);
  EXPECT_EQ(*state.getScalar(floored), SymExpr::floorDiv(N, SymExpr(2)));
}

TEST_F(ShapeStateTest, DataDependentDimsAreFresh) {
  auto type = RankedTensorType::get({2}, builder.getI64Type());
  Value data = module->getBody()->front().getRegion(0).addArgument(type, loc);
  Value y = make<ReshapeOp>(builder.getF32Type(), x, data, ShapeAttr(), false);
  SymDims dims = *state.getDims(y);
  ASSERT_EQ(dims.size(), 2u);
  EXPECT_FALSE(state.isKnownOnEntry(dims[0]));
  EXPECT_TRUE(state.isKnownOnEntry(N));
}

TEST_F(ShapeStateTest, UnknownEqualitiesBecomeConstraints) {
  SymExpr M = SymExpr::symbol("M");
  Value y = module->getBody()->front().getRegion(0).addArgument(x.getType(), loc);
  state.setDims(y, {M, SymExpr(8)});
  Value sum = make<AddOp>(builder.getF32Type(), x, y);
  EXPECT_EQ((*state.getDims(sum))[0], SymExpr::bcast(N, M));
  ASSERT_EQ(state.getConstraints().size(), 1u);
  EXPECT_EQ(state.getConstraints()[0].kind, ShapeConstraint::Broadcast);
}

TEST_F(ShapeStateTest, NodeNamesSurviveNesting) {
  Location nested = CallSiteLoc::get(getNodeLoc(&context, "inner", "Add"), getNodeLoc(&context, "outer", "Loop"));
  EXPECT_EQ(getNodeName(nested)->name, "outer");
  EXPECT_FALSE(getNodeName(builder.getUnknownLoc()).has_value());
}

} // namespace
