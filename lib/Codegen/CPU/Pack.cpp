//===- Pack.cpp - Products and convolutions with packed right operands ----===//
// Assumes: ds-layout ran: convolutions of two spatial dims are nhwc.
// Guarantees: those of floats that code generation has tiled kernels for are ds.gemm, ds.conv_gemm or
// ds.depthwise. Declines: see Passes.td.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/RefineTypes.h"
#include "ds/Codegen/CPU/Passes.h"
#include "ds/Layout/Transposes.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_PACKPASS
#include "ds/Codegen/CPU/Passes.h.inc"

/// Columns, rows or channels a group below which a tile is mostly padding.
static constexpr int64_t kFew = 4;

namespace {
class Packer {
public:
  Packer(MLIRContext *context, ShapeState &state, int64_t tile, bool winograd)
      : b(context), transposes(b, state), tile(tile), winograd(winograd) {}

  /// Each returns what replaces the result, or null.
  Value pack(MatmulOp op);
  Value pack(ConvOp op);
  Value pack(ConvTransposeOp op);
  /// The recurrent weights of a layer, in place.
  template <typename OpTy> void packRecurrent(OpTy op);
  template <typename OpTy> void packRecurrentVjp(OpTy op);

  OpBuilder b;

private:
  SymDims dims(Value value) const { return transposes.dims(value); }
  /// An op of the element type of its first operand.
  template <typename OpTy, typename... Args> Value make(Location loc, Value first, Args &&...args) {
    auto op = OpTy::create(b, loc, placeholderType(getElementTypeOrSelf(first.getType())), first,
                           std::forward<Args>(args)...);
    transposes.infer(op);
    return op;
  }
  /// Columns of a panel: two registers.
  uint64_t panel(Value value) const {
    return getElementTypeOrSelf(value.getType()).isF64() ? std::max<int64_t>(1, tile / 2) : tile;
  }
  Value expand(Value value, ArrayRef<SymExpr> target, Location loc);
  /// Panels of one vector, half a product's.
  Value packStep(Value weights, bool transposed, Location loc);
  Value gemm(Value a, Value right, bool transposed, const SymExpr &columns, Location loc);
  Value addBias(Value result, Value bias, Location loc);
  Value convGemm(Value x, Value w, ArrayRef<int64_t> strides, ArrayRef<int64_t> low, ArrayRef<int64_t> high,
                 ArrayRef<int64_t> dilations, int64_t group, Location loc);
  Value convWinograd(ConvOp op, ArrayRef<int64_t> filter);
  Value convolveStuffed(ConvTransposeOp op);
  Value flipFilter(ConvTransposeOp op);

  TransposeBuilder transposes;
  int64_t tile;
  bool winograd;
};

class PackPass : public impl::PackPassBase<PackPass> {
public:
  using PackPassBase::PackPassBase;
  void runOnOperation() override;
};
} // namespace

static bool isF32(Operation *op) { return getElementTypeOrSelf(op->getResult(0).getType()).isF32(); }
static bool isTiled(Operation *op) { return isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType())); }

static bool isFew(const SymExpr &size) {
  std::optional<int64_t> known = size.tryConst();
  return known && *known < kFew;
}

static bool allOnes(ArrayRef<SymExpr> dims) {
  return llvm::all_of(dims, [](const SymExpr &dim) { return dim.isConst(1); });
}

static bool all(ArrayRef<int64_t> values, int64_t value) {
  return llvm::all_of(values, [&](int64_t v) { return v == value; });
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// True if the compiler can compute `value` (ds-fold-packing does).
static bool isConstant(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isPure(op) || op->getNumRegions() != 0)
    return false;
  return isa<ConstantOp>(op) || (op->getNumOperands() != 0 && llvm::all_of(op->getOperands(), isConstant));
}

Value Packer::expand(Value value, ArrayRef<SymExpr> target, Location loc) {
  if (ArrayRef<SymExpr>(dims(value)) == target)
    return value;
  return make<ExpandOp>(loc, value, Value(), ShapeAttr::get(b.getContext(), target));
}

Value Packer::gemm(Value a, Value right, bool transposed, const SymExpr &columns, Location loc) {
  Value packed = make<PackOp>(loc, right, panel(right), transposed);
  return make<GemmOp>(loc, a, packed, ShapeAttr::get(b.getContext(), ArrayRef<SymExpr>(columns)));
}

/// transpose(x) of the last two dims is x packed the other way round.
static Value lookThroughTranspose(Value right, bool &transposed) {
  auto op = right.getDefiningOp<TransposeOp>();
  if (!op)
    return right;
  Permutation swapped = identityPermutation(op.getPerm().size());
  std::swap(swapped[swapped.size() - 1], swapped[swapped.size() - 2]);
  if (op.getPerm() != ArrayRef<int64_t>(swapped))
    return right;
  transposed = true;
  return op.getX();
}

Value Packer::pack(MatmulOp op) {
  Location loc = op.getLoc();
  Value a = op.getA(), right = op.getB();
  SymDims left = dims(a), own = dims(right), result = dims(op.getResult());
  if (!isTiled(op) || own.size() < 2 || isFew(own.back()))
    return {};
  if (left.size() == 1)
    a = transposes.reshape(a, left = {SymExpr(1), left[0]}, loc);
  SymExpr columns = own.back(), depth = left.back(), rows = left[left.size() - 2];
  ArrayRef<SymExpr> leading = ArrayRef<SymExpr>(own).drop_back(2);
  bool shared = allOnes(leading);
  if (shared)
    rows = product(ArrayRef<SymExpr>(left).drop_back(1));
  if (!isConstant(right) && (isFew(rows) || isFew(depth)))
    return {};

  bool transposed = false;
  right = lookThroughTranspose(right, transposed);
  own = dims(right);
  SmallVector<SymExpr, 2> matrix(own.end() - 2, own.end());
  Value product;
  if (shared) {
    product = gemm(a, transposes.reshape(right, matrix, loc), transposed, columns, loc);
  } else {
    SymDims batch(result.begin(), result.begin() + (std::max(left.size(), own.size()) - 2));
    SymDims leftTarget = batch, rightTarget = batch;
    leftTarget.append({rows, depth});
    rightTarget.append(matrix.begin(), matrix.end());
    product = gemm(expand(a, leftTarget, loc), expand(right, rightTarget, loc), transposed, columns, loc);
  }
  // Dims of 1 that only the right operand has, or a rank-1 left operand has not.
  return transposes.reshape(product, result, loc);
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

Value Packer::addBias(Value result, Value bias, Location loc) { return bias ? make<AddOp>(loc, result, bias) : result; }

/// The constants among `dims`; nullopt if not all are.
static std::optional<SmallVector<int64_t>> constants(ArrayRef<SymExpr> dims) {
  SmallVector<int64_t> values;
  for (const SymExpr &dim : dims) {
    if (!dim.isConst())
      return std::nullopt;
    values.push_back(dim.getConst());
  }
  return values;
}

/// `w` is [O, C/group, KH, KW] of constant dims.
Value Packer::convGemm(Value x, Value w, ArrayRef<int64_t> strides, ArrayRef<int64_t> low, ArrayRef<int64_t> high,
                       ArrayRef<int64_t> dilations, int64_t group, Location loc) {
  SmallVector<int64_t> filter = *constants(dims(w));
  Value packed = make<PackFilterOp>(loc, w, panel(w), static_cast<uint64_t>(group));
  return make<ConvGemmOp>(loc, x, packed, ArrayRef<int64_t>(filter).take_back(2), strides, low, high, dilations,
                          static_cast<uint64_t>(group), static_cast<uint64_t>(filter[0]));
}

/// Whether a filter of these dims and groups makes a product worth a tile.
static bool fitsGemm(int64_t outputs, int64_t inputsPerGroup, int64_t group) {
  return group == 1 || (inputsPerGroup >= kFew && outputs / group >= kFew);
}

/// The size of the squares that Winograd's algorithm pays with for results of `height` x `width`; 0 if none does.
static int64_t winogradOutputs(const SymExpr &height, const SymExpr &width) {
  // Large squares need fewer products, but filters of four times the size, which must be read for each image.
  constexpr int64_t kLarge = 12;
  auto below = [](const SymExpr &size, int64_t limit) { return size.isConst() && size.getConst() < limit; };
  int64_t outputs = below(height, kLarge) || below(width, kLarge) ? 2 : 4;
  if (!height.isConst() || !width.isConst())
    return outputs;
  // Squares at the edges are computed whole.
  int64_t squares = llvm::divideCeil(height.getConst(), outputs) * llvm::divideCeil(width.getConst(), outputs);
  int64_t products = squares * (outputs + 2) * (outputs + 2), direct = 9 * height.getConst() * width.getConst();
  return 10 * products <= 7 * direct ? outputs : 0;
}

Value Packer::convWinograd(ConvOp op, ArrayRef<int64_t> filter) {
  constexpr int64_t kFewest = 64; // channels, on both sides, below which the transformations cost too much
  if (!winograd || !isF32(op) || op.getGroup() != 1 || filter[2] != 3 || filter[3] != 3 || filter[0] < kFewest ||
      filter[1] < kFewest || !all(op.getStrides(), 1) || !all(op.getDilations(), 1) ||
      !op.getW().getDefiningOp<ConstantOp>())
    return {};
  SymDims result = dims(op.getResult());
  int64_t outputs = winogradOutputs(result[1], result[2]);
  if (outputs == 0)
    return {};
  Value packed =
      make<WinogradFilterOp>(op.getLoc(), op.getW(), static_cast<uint64_t>(tile), static_cast<uint64_t>(outputs));
  return make<ConvWinogradOp>(op.getLoc(), op.getX(), packed, op.getPadsLow(), op.getPadsHigh(),
                              static_cast<uint64_t>(outputs), static_cast<uint64_t>(filter[0]));
}

Value Packer::pack(ConvOp op) {
  Location loc = op.getLoc();
  std::optional<SmallVector<int64_t>> filter = constants(dims(op.getW()));
  if (!isTiled(op) || op.getLayout() != Layout::nhwc || op.getStrides().size() != 2 || !filter)
    return {};
  int64_t group = op.getGroup(), outputs = (*filter)[0], inputs = (*filter)[1];
  Value result = convWinograd(op, *filter);
  if (result) {
    // 3x3, stride 1, many channels
  } else if (fitsGemm(outputs, inputs, group)) {
    result = convGemm(op.getX(), op.getW(), op.getStrides(), op.getPadsLow(), op.getPadsHigh(), op.getDilations(),
                      group, loc);
  } else if (inputs == 1 && outputs == group) {
    Value w = transposes.reshape(op.getW(), {SymExpr(outputs), SymExpr((*filter)[2]), SymExpr((*filter)[3])}, loc);
    w = transposes.transpose(w, {1, 2, 0}, loc);
    result =
        make<DepthwiseOp>(loc, op.getX(), w, op.getStrides(), op.getPadsLow(), op.getPadsHigh(), op.getDilations());
  } else {
    return {};
  }
  return addBias(result, op.getBias(), loc);
}

//===----------------------------------------------------------------------===//
// Transposed convolutions
//===----------------------------------------------------------------------===//

/// [C, O/group, KH, KW] as the filter [O, C/group, KH, KW] of the convolution that runs over the result.
Value Packer::flipFilter(ConvTransposeOp op) {
  Location loc = op.getLoc();
  SmallVector<int64_t> sizes = *constants(dims(op.getW()));
  int64_t group = op.getGroup();
  auto shape = [&](ArrayRef<int64_t> values) {
    return ShapeAttr::get(b.getContext(), llvm::map_to_vector(values, [](int64_t v) { return SymExpr(v); }));
  };
  Value w = make<SliceOp>(loc, op.getW(), Value(), Value(), Value(), Value(), shape({0, 0, sizes[2] - 1, sizes[3] - 1}),
                          shape(sizes), b.getDenseI64ArrayAttr({1, 1, -1, -1}));
  if (group == 1)
    return transposes.transpose(w, {1, 0, 2, 3}, loc);
  auto reshape = [&](ArrayRef<int64_t> target) { w = transposes.reshape(w, shape(target).getDims(), loc); };
  reshape({group, sizes[0] / group, sizes[1], sizes[2], sizes[3]});
  w = transposes.transpose(w, {0, 2, 1, 3, 4}, loc);
  reshape({group * sizes[1], sizes[0] / group, sizes[2], sizes[3]});
  return w;
}

/// The definition turned round: a convolution over the input with stride - 1 zeros after each pixel. The zeros after
/// the last one count as padding.
Value Packer::convolveStuffed(ConvTransposeOp op) {
  Location loc = op.getLoc();
  Value x = op.getX();
  SymDims own = dims(x);
  SmallVector<int64_t> filter = *constants(dims(op.getW()));
  ArrayRef<int64_t> strides = op.getStrides();
  if (!all(strides, 1)) {
    x = transposes.reshape(x, {own[0], own[1], SymExpr(1), own[2], SymExpr(1), own[3]}, loc);
    x = make<PadOp>(loc, x, Value(), Value(), PadMode::constant,
                    ShapeAttr::get(b.getContext(), ArrayRef<int64_t>{0, 0, 0, 0, 0, 0}),
                    ShapeAttr::get(b.getContext(), ArrayRef<int64_t>{0, 0, strides[0] - 1, 0, strides[1] - 1, 0}));
    x = transposes.reshape(x, {own[0], own[1] * SymExpr(strides[0]), own[2] * SymExpr(strides[1]), own[3]}, loc);
  }
  SmallVector<int64_t> low, high;
  for (int d = 0; d < 2; ++d) {
    int64_t reach = op.getDilations()[d] * (filter[2 + d] - 1);
    low.push_back(reach - op.getPadsLow()[d]);
    high.push_back(reach - op.getPadsHigh()[d] + op.getOutputPadding()[d] - (strides[d] - 1));
  }
  return convGemm(x, flipFilter(op), {1, 1}, low, high, op.getDilations(), op.getGroup(), loc);
}

Value Packer::pack(ConvTransposeOp op) {
  std::optional<SmallVector<int64_t>> filter = constants(dims(op.getW()));
  if (!isTiled(op) || op.getLayout() != Layout::nhwc || op.getStrides().size() != 2 || !filter)
    return {};
  int64_t group = op.getGroup();
  if (!fitsGemm((*filter)[1] * group, (*filter)[0] / group, group))
    return {};
  return addBias(convolveStuffed(op), op.getBias(), op.getLoc());
}

//===----------------------------------------------------------------------===//
// Recurrent layers
//===----------------------------------------------------------------------===//

Value Packer::packStep(Value weights, bool transposed, Location loc) {
  auto packed = PackOp::create(b, loc, placeholderType(getElementTypeOrSelf(weights.getType())), weights,
                               static_cast<uint64_t>(std::max<int64_t>(tile / 2, 1)), transposed);
  transposes.infer(packed);
  return packed;
}

/// Each gate of each direction is a matrix of its own: a step needs the same hidden units of all gates at once.
template <typename OpTy> void Packer::packRecurrent(OpTy op) {
  SymDims r = dims(op.getR());
  if (r.size() != 3)
    return;
  SymExpr hidden(static_cast<int64_t>(op.getHidden()));
  Value gates = transposes.reshape(op.getR(), {r[0], SymExpr(OpTy::kGates), hidden, hidden}, op.getLoc());
  op.getRMutable().assign(packStep(gates, /*transposed=*/true, op.getLoc()));
}

/// The product of a derivative sums over all gates.
template <typename OpTy> void Packer::packRecurrentVjp(OpTy op) {
  if (dims(op.getR()).size() == 3)
    op.getRMutable().assign(packStep(op.getR(), /*transposed=*/false, op.getLoc()));
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

void PackPass::runOnOperation() {
  func::FuncOp function = getOperation();
  if (function.isExternal())
    return;
  if (tile < 1) {
    function.emitError("expected a positive tile, got ") << tile;
    return signalPassFailure();
  }
  ShapeState state;
  if (failed(inferFunction(function, state)))
    return signalPassFailure();
  Packer packer(&getContext(), state, tile, winograd);
  SmallVector<Operation *> ops;
  llvm::SetVector<Operation *> lookedThrough;
  function.walk([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : ops) {
    packer.b.setInsertionPoint(op);
    llvm::TypeSwitch<Operation *>(op)
        .Case<LstmOp, GruOp, RnnOp>([&](auto op) { packer.packRecurrent(op); })
        .Case<LstmVjpOp, GruVjpOp, RnnVjpOp>([&](auto op) { packer.packRecurrentVjp(op); });
    Value replacement = llvm::TypeSwitch<Operation *, Value>(op)
                            .Case<MatmulOp, ConvOp, ConvTransposeOp>([&](auto op) { return packer.pack(op); })
                            .Default([](Operation *) { return Value(); });
    if (!replacement)
      continue;
    for (Value operand : op->getOperands())
      if (auto transpose = operand.getDefiningOp<TransposeOp>())
        lookedThrough.insert(transpose);
    op->getResult(0).replaceAllUsesWith(replacement);
    op->erase();
  }
  // Transposes that were looked through.
  for (Operation *op : llvm::reverse(lookedThrough))
    if (isOpTriviallyDead(op))
      op->erase();
  ShapeState packed;
  if (failed(inferFunction(function, packed)))
    return signalPassFailure();
  refineTypes(function, packed);
}

} // namespace ds
