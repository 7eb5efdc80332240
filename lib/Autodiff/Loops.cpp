//===- Loops.cpp - Derivatives of ds.loop ---------------------------------===//
// Guarantees: a ds.loop that runs the iterations backward. Each computes its iteration again, from the state that it
//   began with, which the loop before has kept (residuals: stacked, only what is needed). Carried are the cotangents of
//   the state, and sums of those of what the loop captures; where iterations take slices of that one after another,
//   each makes the cotangent of its slice alone. The number of iterations is the one that there were.
// Declines: a state that is needed and whose sizes iterations change. Sizes alone may be needed.
//===----------------------------------------------------------------------===//
#include "Frame.h"
#include "LoopFacts.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/NodeName.h"

using namespace mlir;

namespace ds {

namespace {
class LoopReverser {
public:
  LoopReverser(Walk &walk, LoopOp loop, ArrayRef<Value> cotangents)
      : walk(walk), shared(walk.shared()), shapes(shared.shapes), loop(loop),
        body(shared.activity.find(loop.getBodyAttr())), cotangents(cotangents), states(loop.getState().size()) {}
  LogicalResult run();

private:
  /// What has cotangents, and of what they are wanted; false where nothing is.
  bool choose();
  void countTrips();
  LogicalResult buildBody();
  Value iterationsSlice(Frame &frame, BlockArgument stack, Value iteration);
  /// The loop keeps what the iterations backward need.
  LogicalResult keepResiduals();
  LogicalResult buildLoop();
  TensorExpr assemble(VjpBuilder &b, const LoopSlice &slice, Value stack);

  Walk &walk;
  Reverser &shared;
  ShapeState &shapes;
  LoopOp loop;
  func::FuncOp body;
  ArrayRef<Value> cotangents;
  const unsigned states;
  LoopFacts facts;
  SymExpr trips; // that there were: a symbol, where only the loop itself tells
  bool isTripsNew = false;

  SmallVector<bool> seeded;      // the results whose cotangents count
  SmallVector<unsigned> carried; // states whose cotangents are carried
  SmallVector<unsigned> summed;  // captured values whose cotangents are summed
  SmallVector<LoopSlice> slices; // that the iterations backward make
  FlatSymbolRefAttr reverse;
  // What that takes besides its state, in order.
  SmallVector<unsigned> takenCaptured, takenStates, takenStacks;
  SmallVector<SymExpr> takenSizes;
};
} // namespace

bool LoopReverser::choose() {
  const Activity::Loop &depends = shared.activity.of(loop);
  SmallVector<unsigned> open;
  for (auto [i, cotangent] : llvm::enumerate(cotangents)) {
    seeded.push_back(cotangent && walk.isActive(loop.getResult(i)));
    if (seeded.back())
      open.push_back(i);
  }
  llvm::BitVector wanted(loop.getCaptured().size());
  while (!open.empty()) {
    unsigned result = open.pop_back_val();
    for (unsigned i : depends.once[result].set_bits()) {
      if (i >= states) {
        if (walk.isActive(loop.getCaptured()[i - states]))
          wanted.set(i - states);
      } else if (!seeded[i] && walk.isActive(loop.getResult(i))) {
        seeded[i] = true;
        open.push_back(i);
      }
    }
  }
  for (unsigned k = 0; k < states; ++k)
    if (seeded[k])
      carried.push_back(k);
  summed.append(wanted.set_bits_begin(), wanted.set_bits_end());
  return !summed.empty() || llvm::any_of(carried, [&](unsigned k) { return walk.isActive(loop.getState()[k]); });
}

void LoopReverser::countTrips() {
  if (loop.getNumResults() > states) {
    trips = (*shapes.getDims(loop.getResult(states)))[0];
  } else if (facts.trips) {
    trips = *facts.trips;
  } else {
    trips = shapes.boundSymbol("r");
    isTripsNew = true;
  }
}

Value LoopReverser::iterationsSlice(Frame &frame, BlockArgument stack, Value iteration) {
  return frame.b().create<GatherOp>(getElementTypeOrSelf(stack), stack, iteration, /*axis=*/0).get();
}

/// The symbols of the body's own among dims that iterations change.
static SmallVector<SymExpr> changingSymbols(func::FuncOp body, BlockArgument argument) {
  SmallVector<SymExpr> symbols;
  auto own = body->getAttrOfType<ShapeAttr>(kOwnSymbolsAttr);
  auto shape = body.getArgAttrOfType<ShapeAttr>(argument.getArgNumber(), kShapeArgAttr);
  if (own && shape)
    for (const SymExpr &dim : shape.getDims())
      if (llvm::is_contained(own.getDims(), dim))
        symbols.push_back(dim);
  return symbols;
}

static SymDims stacked(const SymExpr &count, ArrayRef<SymExpr> dims) {
  SymDims all{count};
  llvm::append_range(all, dims);
  return all;
}

LogicalResult LoopReverser::buildBody() {
  Frame frame(shared, loop, body, "_reverse");
  VjpBuilder &b = frame.b();
  Type i64 = frame.builder().getI64Type(), i1 = frame.builder().getI1Type();
  Block &block = body.getBody().front();
  // The state: cotangents of what an iteration hands on, then the sums.
  BlockArgument turn = frame.addArgument(i64, {});
  SmallVector<BlockArgument> handedOn, captured;
  for (unsigned k : carried) {
    SymDims dims = *shapes.getDims(loop.getState()[k]);
    if (facts.changes[k])
      for (SymExpr &dim : dims)
        dim = frame.ownSymbol();
    handedOn.push_back(frame.addArgument(VjpBuilder::elementOf(loop.getState()[k]), dims));
  }
  for (Value value : loop.getCaptured())
    captured.push_back(frame.addArgumentFor(value));
  // Residuals. A state whose dims change is none; its dims are.
  SmallVector<std::pair<unsigned, BlockArgument>> residuals, stacks, missing;
  SmallVector<std::pair<SymExpr, BlockArgument>> sizes;
  for (auto [k, value] : llvm::enumerate(loop.getState()))
    if (!facts.changes[k])
      residuals.push_back({k, frame.addArgument(VjpBuilder::elementOf(value), stacked(trips, *shapes.getDims(value)))});
  for (unsigned k = 0; k < states; ++k)
    if (facts.changes[k])
      for (const SymExpr &symbol : changingSymbols(body, block.getArgument(k + 1)))
        if (llvm::none_of(sizes, [&](auto &known) { return known.first == symbol; }))
          sizes.push_back({symbol, frame.addArgument(i64, trips)});
  for (unsigned i = states; i < loop.getNumResults(); ++i)
    if (seeded[i])
      stacks.push_back({i, frame.addArgumentFor(cotangents[i])});
  for (auto [k, value] : llvm::enumerate(loop.getState()))
    if (facts.changes[k])
      missing.push_back({k, frame.addArgument(VjpBuilder::elementOf(value),
                                              body.getArgAttrOfType<ShapeAttr>(k + 1, kShapeArgAttr).getDims())});

  TensorExpr last = b.create<ShapeValueOp>(i64, b.shape(trips - SymExpr(1)), /*scalar=*/true);
  Value iteration = b.create<SubOp>(i64, last.get(), turn).get();
  SmallVector<Value> values(block.getNumArguments());
  values[0] = iteration;
  for (auto [k, argument] : residuals)
    values[k + 1] = iterationsSlice(frame, argument, iteration);
  for (auto [k, argument] : missing)
    values[k + 1] = argument;
  for (auto [symbol, argument] : sizes) {
    TensorExpr size = b.reshape(b(iterationsSlice(frame, argument, iteration)), SymExpr(1));
    if (!size)
      return failure();
    auto bind = BindOp::create(frame.builder(), loop.getLoc(), size.get().getType(), size.get(), b.shape(symbol));
    if (failed(inferOp(bind, shapes)))
      return failure();
  }
  for (auto [c, argument] : llvm::enumerate(captured))
    values[states + 1 + c] = argument;
  if (b.hasFailed() || failed(frame.copyBody(values)))
    return failure();

  SmallVector<Value> roots;
  for (unsigned k = 0; k < states; ++k)
    if (walk.isActive(loop.getResult(k)))
      roots.push_back(frame.argument(k + 1));
  for (auto [c, value] : llvm::enumerate(loop.getCaptured()))
    if (walk.isActive(value))
      roots.push_back(frame.argument(states + 1 + c));
  Walk inner(shared, frame.getFunction(), roots);
  llvm::DenseSet<Operation *> leaves;
  for (const LoopSlice &slice : facts.slices)
    leaves.insert(frame.inside(slice.made).getDefiningOp());
  if (failed(inner.prepare()))
    return failure();
  for (auto [k, argument] : llvm::zip_equal(carried, handedOn))
    if (failed(frame.seed(inner, k + 1, argument)))
      return failure();
  for (auto [i, argument] : stacks)
    if (failed(frame.seed(inner, i + 1, iterationsSlice(frame, argument, iteration))))
      return failure();
  if (failed(inner.run(leaves)))
    return failure();

  SmallVector<Value> results{
      ConstantOp::create(frame.builder(), loop.getLoc(), makeIntElements(RankedTensorType::get({}, i1), {1}))};
  for (unsigned k : carried) {
    Value state = frame.argument(k + 1), own = inner.cotangent(state);
    TensorExpr next = own ? b(own) : b.zerosLike(state);
    if (!facts.changes[k])
      next = b(withDims(b, next.get(), *shapes.getDims(loop.getState()[k])));
    results.push_back(next.get());
  }
  SmallVector<unsigned> all;
  std::swap(all, summed);
  for (unsigned c : all) {
    Value own = inner.cotangent(frame.argument(states + 1 + c)), value = loop.getCaptured()[c];
    if (!own)
      continue;
    SymDims dims = *shapes.getDims(value);
    BlockArgument sum = frame.insertArgument(results.size(), VjpBuilder::elementOf(value), dims);
    results.push_back((b(sum) + b(withDims(b, own, dims))).get());
    summed.push_back(c);
  }
  for (const LoopSlice &slice : facts.slices) {
    Value own = inner.cotangent(frame.inside(slice.made));
    if (!own)
      continue;
    SymDims dims = *shapes.getDims(loop.getCaptured()[slice.captured]);
    dims.erase(dims.begin() + slice.axis);
    results.push_back(withDims(b, own, dims));
    slices.push_back(slice);
  }
  if (b.hasFailed())
    return failure();
  frame.setResults(results);

  for (auto [k, argument] : missing)
    if (!frame.dropUnused(argument))
      return emitNodeError(loop) << "has no derivative: it needs value " << k
                                 << " of the loop's state as it was at the beginning of each iteration, "
                                 << loop.getState()[k].getType()
                                 << ", and iterations change its dims; values of different sizes are not kept. Let the "
                                    "state have its last size from the start, and iterations write into it";
  for (auto [c, argument] : llvm::enumerate(captured))
    if (!frame.dropUnused(argument))
      takenCaptured.push_back(c);
  for (auto [k, argument] : residuals)
    if (!frame.dropUnused(argument))
      takenStates.push_back(k);
  for (auto &[symbol, argument] : sizes)
    if (!frame.dropUnused(argument))
      takenSizes.push_back(symbol);
  for (auto [i, argument] : stacks)
    if (!frame.dropUnused(argument))
      takenStacks.push_back(i);
  reverse = frame.finish();
  return success();
}

LogicalResult LoopReverser::keepResiduals() {
  // The number of iterations is that of anything that is kept.
  bool keepsCondition = isTripsNew && takenStates.empty() && takenSizes.empty();
  if (takenStates.empty() && takenSizes.empty() && !keepsCondition)
    return success();
  auto longer = cast<func::FuncOp>(body->clone());
  longer.setName((body.getName() + "_residuals").str());
  shared.table.insert(longer, std::next(Block::iterator(body)));
  Block &block = longer.getBody().front();
  Operation *terminator = block.getTerminator();
  OpBuilder builder(terminator);
  SmallVector<Type> types(loop.getResultTypes());
  SmallVector<SymDims> dims;
  for (Value result : loop.getResults())
    dims.push_back(*shapes.getDims(result));
  auto keep = [&](Value value, ArrayRef<SymExpr> outer) {
    terminator->insertOperands(terminator->getNumOperands(), value);
    dims.push_back(stacked(trips, outer));
    types.push_back(typeFromDims(getElementTypeOrSelf(value), dims.back()));
    return longer.insertResult(longer.getNumResults(), value.getType(), {});
  };
  for (unsigned k : takenStates)
    if (failed(keep(block.getArgument(k + 1), *shapes.getDims(loop.getState()[k]))))
      return failure();
  for (const SymExpr &symbol : takenSizes) {
    Value size = ShapeValueOp::create(builder, loop.getLoc(), RankedTensorType::get({}, builder.getI64Type()),
                                      ShapeAttr::get(builder.getContext(), symbol), /*scalar=*/true);
    if (failed(keep(size, {})))
      return failure();
  }
  if (keepsCondition && failed(keep(terminator->getOperand(0), {})))
    return failure();

  SmallVector<SymExpr> symbols(loop.getSymbols().getDims());
  if (isTripsNew)
    symbols.push_back(trips);
  builder.setInsertionPoint(loop);
  auto made = LoopOp::create(builder, loop.getLoc(), types, loop.getTrips(), loop.getCondition(), loop.getState(),
                             loop.getCaptured(), FlatSymbolRefAttr::get(longer),
                             cast<ArrayAttr>(shapesAttr(builder, dims).getValue()),
                             ShapeAttr::get(builder.getContext(), symbols));
  made->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
  if (failed(inferOp(made, shapes)))
    return failure();
  loop.replaceAllUsesWith(made.getResults().take_front(loop.getNumResults()));
  for (Value result : loop.getResults())
    shapes.forget(result);
  loop.erase();
  loop = made;
  return success();
}

TensorExpr LoopReverser::assemble(VjpBuilder &b, const LoopSlice &slice, Value stack) {
  // The first slice that was made is the last iteration's.
  SymDims dims = b.dims(stack);
  SmallVector<int64_t> steps(dims.size(), 1), perm;
  SymDims start(dims.size(), SymExpr(0)), low = start, high = start;
  TensorExpr slices = b(stack);
  int64_t axis = slice.axis;
  SymExpr size = b.dims(loop.getCaptured()[slice.captured])[axis];
  if (slice.isBackward) {
    low[0] = slice.first - trips + SymExpr(1);
  } else {
    start[0] = trips - SymExpr(1);
    steps[0] = -1;
    slices = b.slice(slices, start, dims, steps);
    low[0] = slice.first;
  }
  high[0] = size - low[0] - trips;
  for (int64_t d = 0, rank = dims.size(); d < rank; ++d)
    perm.push_back(d == axis ? 0 : d < axis ? d + 1 : d);
  return b.transpose(b.pad(slices, low, high), perm);
}

LogicalResult LoopReverser::buildLoop() {
  OpBuilder builder = walk.builder();
  VjpBuilder b(builder, shapes, loop, {});
  SmallVector<Value> state, captured;
  SmallVector<SymDims> dims;
  for (unsigned k : carried) {
    Value before = loop.getState()[k], own = cotangents[k];
    dims.push_back(b.dims(before));
    TensorExpr first = own ? b(own) : b.zerosLike(loop.getResult(k));
    state.push_back(facts.changes[k] ? first.get() : withDims(b, first.get(), dims.back()));
  }
  for (unsigned c : summed) {
    dims.push_back(b.dims(loop.getCaptured()[c]));
    state.push_back(b.zerosLike(loop.getCaptured()[c]).get());
  }
  for (const LoopSlice &slice : slices) {
    SymDims row = b.dims(loop.getCaptured()[slice.captured]);
    row.erase(row.begin() + slice.axis);
    dims.push_back(stacked(trips, row));
  }
  for (unsigned c : takenCaptured)
    captured.push_back(loop.getCaptured()[c]);
  unsigned next = loop.getNumResults() - takenStates.size() - takenSizes.size();
  for (unsigned i = 0; i < takenStates.size() + takenSizes.size(); ++i)
    captured.push_back(loop.getResult(next++));
  for (unsigned i : takenStacks)
    captured.push_back(cotangents[i]);
  Value count = b.create<ShapeValueOp>(builder.getI64Type(), b.shape(trips), /*scalar=*/true).get();
  if (b.hasFailed())
    return failure();

  SmallVector<Type> types;
  for (auto [i, each] : llvm::enumerate(dims)) {
    Value like = i < state.size() ? state[i] : loop.getCaptured()[slices[i - state.size()].captured];
    types.push_back(typeFromDims(getElementTypeOrSelf(like), each));
  }
  auto made = LoopOp::create(builder, loop.getLoc(), types, count, /*condition=*/Value(), state, captured, reverse,
                             cast<ArrayAttr>(shapesAttr(builder, dims).getValue()), b.shape({}));
  if (failed(inferOp(made, shapes)))
    return failure();
  auto add = [&](Value value, Value cotangent) {
    return !walk.isActive(value) ? success() : cotangent ? walk.add(value, cotangent) : failure();
  };
  unsigned result = 0;
  for (unsigned k : carried)
    if (failed(add(loop.getState()[k], made.getResult(result++))))
      return failure();
  for (unsigned c : summed)
    if (failed(add(loop.getCaptured()[c], made.getResult(result++))))
      return failure();
  for (const LoopSlice &slice : slices)
    if (failed(add(loop.getCaptured()[slice.captured], assemble(b, slice, made.getResult(result++)).get())))
      return failure();
  return success();
}

LogicalResult LoopReverser::run() {
  if (!choose())
    return success();
  FailureOr<LoopFacts> found = lookAtLoop(loop, body, shapes);
  if (failed(found))
    return failure();
  facts = std::move(*found);
  countTrips();
  return failure(failed(buildBody()) || failed(keepResiduals()) || failed(buildLoop()));
}

LogicalResult differentiateLoop(Walk &walk, LoopOp loop, ArrayRef<Value> cotangents) {
  return LoopReverser(walk, loop, cotangents).run();
}

} // namespace ds
