//===- RootTest.cpp - A root that no pass knows ---------------------------===//
// Guarantees: an op of another dialect that has the interfaces of a root is grouped, with what is computed before and
//   after it, and becomes code.
//===----------------------------------------------------------------------===//
#include "KernelRunner.h"
#include "dialects/ds/ir/DsOps.h"
#include "lib/Codegen/CPU/CpuKernelEmitter.h"
#include "lib/Codegen/CPU/CpuRootInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;

namespace ds::test {

/// test.row_range: max - min of each row of a matrix of f32.
class RowRangeOp
    : public Op<RowRangeOp, OpTrait::ZeroRegions, OpTrait::OneResult, OpTrait::ZeroSuccessors, OpTrait::OneOperand,
                OpTrait::AlwaysSpeculatableImplTrait, ConditionallySpeculatable::Trait, MemoryEffectOpInterface::Trait,
                ShapeOpInterface::Trait, KernelRootOpInterface::Trait, CpuRootOpInterface::Trait> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RowRangeOp)
  using Op::Op;
  static StringRef getOperationName() { return "test.row_range"; }
  static ArrayRef<StringRef> getAttributeNames() { return {}; }
  void getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &) {}

  LogicalResult inferShapes(ShapeState &state) {
    state.setDims(getOperation()->getResult(0), {state.getDims(getOperand())->front()});
    return success();
  }

  std::optional<int64_t> timesRead(OpOperand &) { return 1; }

  LogicalResult emitCpuLoops(CpuKernelEmitter &e) {
    for (mlir::Operation &op : e.getKernel().getBody().front().without_terminator())
      if (&op != getOperation())
        e.setInlined(&op);
    OpBuilder &b = e.builder();
    SymDims dims = e.dimsOf(getOperand());
    e.setRange(dims[0], SymExpr(1));
    return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value row) -> LogicalResult {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      SmallVector<Value> none{e.constantFloat(b.getF32Type(), kInfinity), e.constantFloat(b.getF32Type(), -kInfinity)};
      auto ends = e.loop(e.constantIndex(0), LaneIndex::uniform(e.size(dims[1])), none,
                         [&](LaneIndex column, ValueRange sofar) -> FailureOr<SmallVector<Value>> {
                           FailureOr<Value> x = e.element(getOperand(), {LaneIndex::uniform(row), column});
                           if (failed(x))
                             return failure();
                           return SmallVector<Value>{arith::MinNumFOp::create(b, e.getLoc(), sofar[0], *x),
                                                     arith::MaxNumFOp::create(b, e.getLoc(), sofar[1], *x)};
                         });
      if (failed(ends))
        return failure();
      e.bind(getOperation()->getResult(0), arith::SubFOp::create(b, e.getLoc(), (*ends)[1], (*ends)[0]));
      return storeResults(e, {LaneIndex::uniform(row)});
    });
  }
};

class TestDialect : public Dialect {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestDialect)
  explicit TestDialect(MLIRContext *context) : Dialect("test", context, TypeID::get<TestDialect>()) {
    addOperations<RowRangeOp>();
  }
  static StringRef getDialectNamespace() { return "test"; }
};

TEST(RootTest, AnOpOfAnotherDialectIsGroupedAndCompiled) {
  auto kernel = CompiledKernel::compile(R"mlir(
    func.func @main(%x: tensor<?x?xf32> {ds.shape = #ds.shape<["N", "M"]>}) -> tensor<?xf32> {
      %0 = ds.abs %x : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %1 = "test.row_range"(%0) : (tensor<?x?xf32>) -> tensor<?xf32>
      %2 = ds.sqrt %1 : (tensor<?xf32>) -> tensor<?xf32>
      return %2 : tensor<?xf32>
    })mlir",
                                        CompiledKernel::Form::Program,
                                        [](MLIRContext &context) { context.loadDialect<TestDialect>(); });
  ASSERT_TRUE(kernel); // one kernel: all three ops are in it
  constexpr int64_t kRows = 5, kColumns = 19;
  Buffer<float> x = randomFloats(kRows * kColumns, 1), result(kRows);
  ASSERT_EQ(kernel->run({{"k0", kRows}, {"k1", kColumns}}, {x.data(), result.data()}, 2), 0);
  for (int64_t row = 0; row < kRows; ++row) {
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (int64_t column = 0; column < kColumns; ++column) {
      double value = std::abs(double(x[row * kColumns + column]));
      low = std::min(low, value);
      high = std::max(high, value);
    }
    EXPECT_NEAR(result[row], std::sqrt(high - low), 1e-6) << row;
  }
}

} // namespace ds::test
