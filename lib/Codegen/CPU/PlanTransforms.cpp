//===- PlanTransforms.cpp - Tables of Fourier transforms ------------------===//
// Assumes: shapes inferred.
// Guarantees: transforms of a constant length have the table of their plan (DftPlan.h) as an operand.
// Declines: see Passes.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/ConstantData.h"
#include "dialects/ds/ir/DsOps.h"
#include "ds/Codegen/CPU/Passes.h"
#include "lib/Codegen/CPU/DftPlan.h"

#include <map>

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_PLANTRANSFORMSPASS
#include "ds/Codegen/CPU/Passes.h.inc"

/// A table of more numbers takes longer to read from a file than to compute.
static constexpr int64_t kMostNumbers = 1 << 20;

static std::optional<int64_t> lengthOf(DftOp op) {
  if (op.isRealResult())
    return op.getLength()->getDim(0).tryConst();
  int64_t size = cast<RankedTensorType>(op.getX().getType()).getDimSize(op.getAxis());
  return ShapedType::isDynamic(size) ? std::nullopt : std::optional(size);
}

namespace {
class PlanTransformsPass : public impl::PlanTransformsPassBase<PlanTransformsPass> {
public:
  using PlanTransformsPassBase::PlanTransformsPassBase;
  void runOnOperation() override {
    // By all that a table follows from: length, whether the transform is halved, f64 or f32.
    std::map<std::tuple<int64_t, bool, bool>, ElementsAttr> tables;
    getOperation().walk([&](DftOp op) {
      if (op.getTable())
        return;
      auto x = cast<RankedTensorType>(op.getX().getType());
      std::optional<int64_t> length = lengthOf(op);
      if (!length || *length < 1)
        return;
      DftPlan plan = DftPlan::of(*length, op.isRealResult() || x.getShape().back() == 1);
      if (plan.tableSize() > kMostNumbers)
        return;
      bool wide = x.getElementType().isF64();
      OpBuilder b(op);
      Type element = wide ? Type(b.getF64Type()) : Type(b.getF32Type());
      ElementsAttr &table = tables[{*length, plan.isHalved, wide}];
      if (!table)
        table = makeTable(plan, RankedTensorType::get({plan.tableSize()}, element));
      op.getTableMutable().assign(ConstantOp::create(b, op.getLoc(), table));
    });
  }

private:
  static ElementsAttr makeTable(const DftPlan &plan, RankedTensorType type) {
    return writeElements(type, "dft" + std::to_string(plan.length), [&](MutableArrayRef<char> bytes) {
      std::vector<double> numbers = plan.table();
      if (type.getElementType().isF64())
        std::copy(numbers.begin(), numbers.end(), reinterpret_cast<double *>(bytes.data()));
      else
        std::copy(numbers.begin(), numbers.end(), reinterpret_cast<float *>(bytes.data()));
    });
  }
};
} // namespace

} // namespace ds
