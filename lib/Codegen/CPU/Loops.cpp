//===- Loops.cpp - Kernels that compute each element by itself ------------===//
// Assumes: every op of the kernel has an element form; all results have equal dims.
// Guarantees: the innermost dimension is vectorized; dimensions in which every operand is read alike are one loop.
// Declines: nothing; a short innermost dimension is vectorized across rows, by gathers.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/Epilogue.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace ds {

LogicalResult storeResults(CpuKernelEmitter &e, ArrayRef<LaneIndex> indices) {
  // All are computed before one is stored: it may lie where an argument lies that the others read.
  SmallVector<Value> elements;
  for (Value value : e.results()) {
    FailureOr<Value> element = e.element(value, indices);
    if (failed(element))
      return failure();
    elements.push_back(*element);
  }
  for (auto [number, value] : llvm::enumerate(e.results()))
    e.storeAt(e.result(number), e.linearize(indices, e.dimsOf(value)), elements[number]);
  return success();
}

SmallVector<LoopDim> collapseLoops(CpuKernelEmitter &e, const SymDims &dims, ArrayRef<Operation *> ops) {
  bool pointwise = llvm::all_of(ops, [](Operation *op) {
    auto element = dyn_cast<ElementOpInterface>(op);
    return element && (element.isPointwise() || element.isUniform());
  });
  // pattern[d]: for each tensor whether it has dimension d.
  enum Mark : char { Absent, Present, Unknown };
  SmallVector<SmallVector<char>> pattern(dims.size());
  auto note = [&](Value tensor) {
    if (isUniform(tensor.getDefiningOp()))
      return;
    SymDims own = e.dimsOf(tensor);
    size_t missing = dims.size() - own.size();
    for (size_t d = 0; d < dims.size(); ++d) {
      Mark mark = Absent;
      // A size that may turn out to be 1 forbids collapsing.
      if (d >= missing && !own[d - missing].isConst(1))
        mark = own[d - missing] == dims[d] ? Present : Unknown;
      pattern[d].push_back(mark);
    }
  };
  if (pointwise)
    for (Operation *op : ops) {
      if (isUniform(op))
        continue;
      for (Value operand : op->getOperands())
        note(operand);
      note(op->getResult(0));
    }
  SmallVector<LoopDim> loops;
  for (unsigned d = 0; d < dims.size(); ++d) {
    if (dims[d].isConst(1))
      continue;
    bool joins = pointwise && !loops.empty() && pattern[loops.back().last] == pattern[d] &&
                 !llvm::is_contained(pattern[d], Unknown);
    if (joins) {
      loops.back().size = loops.back().size * dims[d];
      loops.back().last = d;
    } else {
      loops.push_back({dims[d], d});
    }
  }
  return loops;
}

Epilogue::Epilogue(CpuKernelEmitter &e, Operation *root) : e(e), dims(e.dimsOf(root->getResult(0))) {
  // The ops that the results need, the root excepted.
  SetVector<Operation *> ops;
  SmallVector<Value> work(e.results());
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op || op == root || !ops.insert(op))
      continue;
    llvm::append_range(work, op->getOperands());
  }
  if (dims.size() < 2)
    return;
  // Loops that hold leading dimensions, whether or not the last dimension is part of them.
  unsigned loops = 0, first = 0;
  for (const LoopDim &loop : collapseLoops(e, dims, ops.getArrayRef())) {
    bool holdsLeading = llvm::any_of(llvm::seq(first, std::min<unsigned>(loop.last + 1, dims.size() - 1)),
                                     [&](unsigned d) { return !dims[d].isConst(1); });
    loops += holdsLeading;
    first = loop.last + 1;
  }
  collapsed = loops <= 1;
}

SmallVector<LaneIndex> Epilogue::rowIndices(Value batch, Value row) {
  SmallVector<LaneIndex> indices(dims.size(), e.constantIndex(0));
  if (dims.size() < 2)
    return indices;
  SmallVector<SymExpr> leading(dims.begin(), dims.end() - 1);
  unsigned rowDim = dims.size() - 2;
  if (batch) {
    if (collapsed) {
      indices[rowDim] = LaneIndex::uniform(e.addI(e.mulI(batch, e.size(dims[rowDim])), row));
      return indices;
    }
    leading.pop_back();
    for (auto [d, index] : llvm::enumerate(e.delinearize(LaneIndex::uniform(batch), leading)))
      indices[d] = index;
    indices[rowDim] = LaneIndex::uniform(row);
    return indices;
  }
  if (collapsed) {
    // The last leading dimension that is not 1 carries the row: sizes of 1 are always at 0.
    while (rowDim > 0 && dims[rowDim].isConst(1))
      --rowDim;
    indices[rowDim] = LaneIndex::uniform(row);
    return indices;
  }
  for (auto [d, index] : llvm::enumerate(e.delinearize(LaneIndex::uniform(row), leading)))
    indices[d] = index;
  return indices;
}

LogicalResult emitLoops(CpuKernelEmitter &e) {
  constexpr int64_t kChunk = 2048;         // elements an item, where the whole result is one loop
  constexpr int64_t kWorthAThread = 16384; // elements times cost
  SymDims dims = e.dimsOf(e.results()[0]);
  int64_t cost = 1;
  for (Operation &op : e.getKernel().getBody().front().without_terminator()) {
    e.setInlined(&op);
    if (auto element = dyn_cast<ElementOpInterface>(op))
      cost += element.elementCost();
  }
  SymExpr total = product(dims);
  SmallVector<Operation *> ops;
  for (Operation &op : e.getKernel().getBody().front().without_terminator())
    ops.push_back(&op);
  SmallVector<LoopDim> loops = collapseLoops(e, dims, ops);
  bool shortRows = loops.size() > 1 && loops.back().size.isConst() && loops.back().size.getConst() * 2 <= e.getWidth();

  if (loops.size() <= 1 || shortRows) {
    e.setRange(SymExpr::ceilDiv(total, kChunk), SymExpr(std::max<int64_t>(1, kWorthAThread / (kChunk * cost))));
    return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
      Value lower = e.mulI(item, e.i64(kChunk));
      Value upper = e.minI(e.addI(lower, e.i64(kChunk)), e.size(total));
      if (loops.empty())
        return storeResults(e, SmallVector<LaneIndex>(dims.size(), e.constantIndex(0)));
      return e.vectorLoop(lower, upper, [&](LaneIndex position) {
        if (shortRows)
          return storeResults(e, e.delinearize(position, dims));
        SmallVector<LaneIndex> indices(dims.size(), e.constantIndex(0));
        indices[loops[0].last] = position;
        return storeResults(e, indices);
      });
    });
  }

  LoopDim inner = loops.pop_back_val();
  SmallVector<SymExpr> outer;
  for (const LoopDim &loop : loops)
    outer.push_back(loop.size);
  SymExpr perItem = SymExpr::max(inner.size * SymExpr(cost), SymExpr(1));
  e.setRange(product(outer), SymExpr::ceilDiv(kWorthAThread, perItem));
  return e.forLoop(e.getBegin(), e.getEnd(), 1, [&](Value item) {
    SmallVector<LaneIndex> indices(dims.size(), e.constantIndex(0));
    SmallVector<LaneIndex> outerIndices = e.delinearize(LaneIndex::uniform(item), outer);
    for (auto [loop, index] : llvm::zip_equal(loops, outerIndices))
      indices[loop.last] = index;
    return e.vectorLoop(e.i64(0), e.size(inner.size), [&](LaneIndex position) {
      indices[inner.last] = position;
      return storeResults(e, indices);
    });
  });
}

} // namespace ds
