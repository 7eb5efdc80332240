//===- HostOpTest.cpp - A view that no pass knows -------------------------===//
// Guarantees: an op of another dialect that is another name for memory is grouped into no kernel, has no buffer, and
//   keeps alive the memory that it names; one that ends a stage and has no form in rt is an error in one line.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Codegen/Passes.h"
#include "ds/Conversion/Passes.h"
#include "ds/Group/Passes.h"
#include "ds/Memory/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace mlir;

namespace ds::test {

/// What the ops of this test have in common: one operand, of which the result has the elements.
template <typename Concrete>
using RenamingOp = Op<Concrete, OpTrait::ZeroRegions, OpTrait::OneResult, OpTrait::ZeroSuccessors, OpTrait::OneOperand,
                      OpTrait::AlwaysSpeculatableImplTrait, ConditionallySpeculatable::Trait,
                      MemoryEffectOpInterface::Trait, ShapeOpInterface::Trait, HostOpInterface::Trait>;

/// test.flat: a matrix as a vector, in the same memory.
class FlatOp : public RenamingOp<FlatOp> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FlatOp)
  using Op::Op;
  static StringRef getOperationName() { return "test.flat"; }
  static ArrayRef<StringRef> getAttributeNames() { return {}; }
  void getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &) {}
  LogicalResult inferShapes(ShapeState &state) {
    state.setDims(getOperation()->getResult(0), {product(*state.getDims(getOperand()))});
    return success();
  }
  Value getViewed() { return getOperand(); }
};

/// test.pause: something between two stages.
class PauseOp : public RenamingOp<PauseOp> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PauseOp)
  using Op::Op;
  static StringRef getOperationName() { return "test.pause"; }
  static ArrayRef<StringRef> getAttributeNames() { return {}; }
  void getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
    effects.emplace_back(MemoryEffects::Write::get());
  }
  LogicalResult inferShapes(ShapeState &state) {
    state.copy(getOperand(), getOperation()->getResult(0));
    return success();
  }
  bool isCall() { return true; }
};

class HostDialect : public Dialect {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(HostDialect)
  explicit HostDialect(MLIRContext *context) : Dialect("test", context, TypeID::get<HostDialect>()) {
    addOperations<FlatOp, PauseOp>();
  }
  static StringRef getDialectNamespace() { return "test"; }
};

class HostOpTest : public testing::Test {
protected:
  HostOpTest() { context.loadDialect<DsDialect, rt::RtDialect, func::FuncDialect, HostDialect>(); }

  /// Groups the function `main`, makes code of its kernels and converts it; null, with `message` set, on failure.
  rt::ProgramOp convert(StringRef text) {
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { message += diagnostic.str(); });
    module = parseSourceString<ModuleOp>(text, &context);
    PassManager passes(&context);
    passes.addPass(createGroupPass());
    passes.addPass(createGenerateKernelsPass());
    passes.addPass(createConvertDsToRtPass());
    passes.addNestedPass<rt::ProgramOp>(createAssignMemoryPass());
    if (!module || failed(passes.run(*module)))
      return {};
    return module->lookupSymbol<rt::ProgramOp>("main");
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::string message;
};

TEST_F(HostOpTest, AViewOfAnotherDialectIsItsOperandsMemory) {
  rt::ProgramOp main = convert(R"mlir(
    func.func @main(%x: tensor<?x?xf32> {ds.shape = #ds.shape<["N", "M"]>}) -> tensor<1xf32> {
      %0 = ds.softmax %x {axis = 1 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %1 = "test.flat"(%0) : (tensor<?x?xf32>) -> tensor<?xf32>
      %2 = ds.softmax %x {axis = 0 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %3 = "test.flat"(%2) : (tensor<?x?xf32>) -> tensor<?xf32>
      %4 = ds.reduce_sum %1 {axes = array<i64: 0>, keepdims} : (tensor<?xf32>) -> tensor<1xf32>
      %5 = ds.reduce_sum %3 {axes = array<i64: 0>, keepdims} : (tensor<?xf32>) -> tensor<1xf32>
      %6 = ds.add %4, %5 : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      return %6 : tensor<1xf32>
    })mlir");
  ASSERT_TRUE(main) << message;
  module->walk([](FlatOp op) { ADD_FAILURE() << "a kernel holds a view"; });
  SmallVector<rt::DispatchOp> dispatches(main.getBody()->getOps<rt::DispatchOp>());
  ASSERT_EQ(dispatches.size(), 4u);
  // Each sum reads what a softmax made.
  EXPECT_EQ(dispatches[2].getInputs()[0], dispatches[0].getOutputs()[0]);
  EXPECT_EQ(dispatches[3].getInputs()[0], dispatches[1].getOutputs()[0]);
  // The first softmax's memory lives until its view is read.
  auto first = dispatches[0].getOutputs()[0].getDefiningOp<rt::BufferOp>();
  ASSERT_TRUE(first && first.getLast());
  EXPECT_EQ(*first.getLast(), 2u);
}

TEST_F(HostOpTest, WhatEndsAStageAndHasNoFormInTheHostProgramIsAnError) {
  EXPECT_FALSE(convert(R"mlir(
    func.func @main(%x: tensor<4xf32> {ds.shape = #ds.shape<["4"]>}) -> tensor<4xf32> {
      %0 = "test.pause"(%x) : (tensor<4xf32>) -> tensor<4xf32>
      %1 = ds.exp %0 : (tensor<4xf32>) -> tensor<4xf32>
      return %1 : tensor<4xf32>
    })mlir"));
  EXPECT_NE(message.find("'test.pause' op ends a stage, and the conversion to rt knows no form for it"),
            std::string::npos)
      << message;
}

} // namespace ds::test
