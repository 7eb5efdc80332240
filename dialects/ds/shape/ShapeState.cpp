//===- ShapeState.cpp - Dims and contents of values as expressions --------===//
// Guarantees: see ShapeState.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/NodeName.h"
#include "dialects/ds/shape/ShapeHelpers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Dims and contents
//===----------------------------------------------------------------------===//

std::optional<SymDims> ShapeState::getInferredDims(Value value) const {
  auto it = dims.find(value);
  return it == dims.end() ? std::nullopt : std::optional(it->second);
}

std::optional<SymDims> ShapeState::getDims(Value value) const {
  // A constant speaks for itself: passes make them without inference, maybe where an erased op had been in memory.
  if (!value.getDefiningOp<ConstantOp>())
    if (std::optional<SymDims> inferred = getInferredDims(value))
      return inferred;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  return SymDims(type.getShape().begin(), type.getShape().end());
}

void ShapeState::setDims(Value value, ArrayRef<SymExpr> newDims) {
  for (const SymExpr &dim : newDims)
    reserveSymbols(dim);
  dims[value] = SymDims(newDims.begin(), newDims.end());
}

std::optional<SmallVector<SymFraction>> ShapeState::getFractions(Value value) const {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto it = contents.find(value);
  if (it != contents.end() && !constant)
    return it->second;
  if (!constant || constant.getType().getNumElements() > kMaxContents)
    return std::nullopt;
  std::optional<ElementsView> view = ElementsView::get(constant.getValue());
  if (!view)
    return std::nullopt;
  SmallVector<SymFraction> result;
  for (int64_t i = 0; i < view->size(); ++i) {
    if (!isFloat(view->getKind())) {
      if (view->getKind() == ElementKind::U64 && view->getInt(i) < 0) // past what expressions hold
        return std::nullopt;
      result.push_back(SymExpr(view->getInt(i)));
      continue;
    }
    std::optional<SymFraction> fraction = SymFraction::fromDouble(view->getDouble(i));
    if (!fraction)
      return std::nullopt;
    result.push_back(*fraction);
  }
  return result;
}

std::optional<SmallVector<SymExpr>> ShapeState::getContents(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !isa<IntegerType>(type.getElementType()))
    return std::nullopt;
  std::optional<SmallVector<SymFraction>> fractions = getFractions(value);
  if (!fractions)
    return std::nullopt;
  SmallVector<SymExpr> result;
  for (const SymFraction &fraction : *fractions) {
    if (!fraction.isInteger())
      return std::nullopt;
    result.push_back(fraction.num);
  }
  return result;
}

void ShapeState::setContents(Value value, ArrayRef<SymExpr> newContents) {
  setFractions(value, SmallVector<SymFraction>(newContents.begin(), newContents.end()));
}

/// Few and small multiples of single sizes: no products of them, which soon are more than 24 bits hold.
static bool isSmall(const SymExpr &expr) {
  constexpr int64_t kMostMultiples = 256, kLargestConstant = 1 << 20;
  int64_t multiples = 0;
  for (const SymExpr::Term &term : expr.terms()) {
    if (term.monomial.size() > 1 || std::abs(term.coefficient) > kLargestConstant)
      return false;
    multiples += term.monomial.empty() ? 0 : std::abs(term.coefficient);
  }
  return multiples <= kMostMultiples;
}

/// Whether an element of the type is exactly this number: kernels wrap and round, fractions do not. Numbers that hold
/// symbols are, up to `largestOf` the type.
static bool isExact(const SymFraction &number, Type type) {
  if (number.num.isOverflow() || number.den.isOverflow())
    return false;
  if (auto integer = dyn_cast<IntegerType>(type)) {
    std::optional<int64_t> value = number.isInteger() ? number.num.tryConst() : std::nullopt;
    if (!value)
      return number.isInteger() && integer.getWidth() >= 32 && (!integer.isUnsigned() || number.num.isNonNegative());
    if (integer.getWidth() == 64)
      return !integer.isUnsigned() || *value >= 0;
    if (integer.getWidth() == 1)
      return *value == 0 || *value == 1;
    return integer.isUnsigned() ? llvm::isUIntN(integer.getWidth(), *value) && *value >= 0
                                : llvm::isIntN(integer.getWidth(), *value);
  }
  auto floating = dyn_cast<FloatType>(type);
  if (!floating || !number.isConst())
    return floating && (!floating.isF32() || (isSmall(number.num) && isSmall(number.den)));
  uint64_t magnitude = std::abs(number.num.getConst());
  return llvm::isPowerOf2_64(number.den.getConst()) && magnitude >> std::min(floating.getFPMantissaWidth(), 62u) == 0;
}

/// The largest number up to which the type holds all integers; nullopt where no size comes near it.
static std::optional<int64_t> largestOf(Type type) {
  if (type.isF32())
    return int64_t(1) << 24;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.getWidth() != 32)
    return std::nullopt;
  return integer.isUnsigned() ? int64_t(UINT32_MAX) : int64_t(INT32_MAX);
}

void ShapeState::requireExact(Value value, ArrayRef<SymFraction> numbers) {
  Operation *op = value.getDefiningOp();
  Type type = getElementTypeOrSelf(value.getType());
  std::optional<int64_t> largest = largestOf(type);
  if (!largest || !op || verifying)
    return;
  const char *what = isa<FloatType>(type) ? "a 32-bit float holds exactly" : "fit into 32 bits";
  auto require = [&](const SymExpr &a, const SymExpr &b) {
    if (!a.isOverflow() && !b.isOverflow() && !SymExpr::provablyLessEqual(a, b))
      addConstraint(
          {a, b, ShapeConstraint::LessEqual, describeNode(op) + ": expected numbers made of sizes that " + what});
  };
  for (const SymFraction &number : numbers)
    if (!number.num.isConst()) {
      require(number.num, SymExpr(*largest));
      if (!number.num.isNonNegative())
        require(SymExpr(-*largest), number.num);
    }
}

void ShapeState::setFractions(Value value, ArrayRef<SymFraction> newContents) {
  Type type = getElementTypeOrSelf(value.getType());
  bool usable = int64_t(newContents.size()) <= kMaxContents &&
                llvm::all_of(newContents, [&](const SymFraction &fraction) { return isExact(fraction, type); });
  if (!usable)
    return void(contents.erase(value));
  requireExact(value, newContents);
  contents[value] = SmallVector<SymFraction>(newContents.begin(), newContents.end());
}

std::optional<SymExpr> ShapeState::getScalar(Value value) const {
  std::optional<SmallVector<SymExpr>> all = getContents(value);
  if (!all || all->size() != 1)
    return std::nullopt;
  return (*all)[0];
}

void ShapeState::copy(Value from, Value to) {
  if (std::optional<SymDims> known = getDims(from))
    setDims(to, *known);
  if (auto it = contents.find(from); it != contents.end()) {
    SmallVector<SymFraction> known = it->second;
    contents[to] = std::move(known);
  } else if (std::optional<SmallVector<SymFraction>> fractions = getFractions(from)) {
    contents[to] = std::move(*fractions);
  }
}

void ShapeState::forget(Value value) {
  dims.erase(value);
  contents.erase(value);
  if (auto names = boundBy.find(value); names != boundBy.end()) {
    for (const std::string &name : names->second)
      bound.erase(name);
    boundBy.erase(names);
  }
}

//===----------------------------------------------------------------------===//
// Symbols and constraints
//===----------------------------------------------------------------------===//

void ShapeState::reserveSymbols(const SymExpr &expr) {
  if (!expr.isConst() && reserved.insert(expr).second)
    expr.forEachSymbol([&](const std::string &symbol) { taken.insert(symbol); });
}

SymExpr ShapeState::freshSymbol() {
  std::string name;
  do {
    name = "?" + std::to_string(nextSymbol++); // No identifier: no model names a dim so.
  } while (taken.count(name));
  taken.insert(name);
  fresh.insert(name);
  return SymExpr::symbol(name);
}

SymExpr ShapeState::boundSymbol(StringRef prefix) {
  std::string name;
  // Names are never free again, so that none is tried twice.
  unsigned &next = nextBound[prefix];
  do {
    name = prefix.str() + std::to_string(next++);
  } while (!taken.insert(name).second);
  return SymExpr::symbol(name);
}

/// Names that only `freshSymbol` gives. In an attribute, such a symbol is one whose state is gone.
static bool isFreshName(StringRef symbol) { return symbol.starts_with("?"); }

bool ShapeState::isFresh(StringRef symbol) const { return fresh.contains(symbol); }

std::optional<SymExpr> ShapeState::getBound(const std::string &symbol) const {
  auto found = bound.find(symbol);
  return found == bound.end() ? std::nullopt : std::optional(found->second);
}

void ShapeState::define(StringRef symbol, const SymExpr &expr) {
  taken.insert(symbol);
  reserveSymbols(expr);
  defined.insert_or_assign(symbol, expr);
}

bool ShapeState::isSame(const SymExpr &a, const SymExpr &b) const {
  auto isDefinedAs = [&](const SymExpr &symbol, const SymExpr &expr) {
    std::optional<std::string> name = symbol.symbolName();
    auto found = name ? defined.find(*name) : defined.end();
    return found != defined.end() && found->second == expr;
  };
  return a == b || (!defined.empty() && (isDefinedAs(a, b) || isDefinedAs(b, a)));
}

void ShapeState::setBound(const std::string &symbol, const SymExpr &expr, Value bind) {
  bound.insert_or_assign(symbol, expr);
  boundBy[bind].push_back(symbol);
}

bool ShapeState::isKnownOnEntry(const SymExpr &expr) const {
  bool known = true;
  expr.forEachSymbol([&](const std::string &symbol) { known &= !fresh.contains(symbol) && !isFreshName(symbol); });
  return known;
}

void ShapeState::addConstraint(const ShapeConstraint &constraint) {
  if (stated.insert({int(constraint.kind), constraint.a.id(), constraint.b.id()}).second)
    constraints.push_back(constraint);
}

LogicalResult ShapeState::failOverflow(Operation *op, const Twine &message) {
  overflowed = true;
  if (tryingSizes)
    return failure();
  return emitNodeError(op) << message.str();
}

/// Overflowed expressions prove nothing and must not get into constraints.
LogicalResult ShapeState::checkOverflow(const SymExpr &a, const SymExpr &b, Operation *op) {
  return a.isOverflow() || b.isOverflow() ? failOverflow(op, "a size expression is too large or too complex")
                                          : success();
}

LogicalResult ShapeState::requireEqual(const SymExpr &a, const SymExpr &b, Operation *op, const Twine &what) {
  if (a == b)
    return success();
  if (failed(checkOverflow(a, b, op)))
    return failure();
  // Provably different: the difference has a constant sign.
  SymExpr difference = a - b;
  if ((difference - SymExpr(1)).isNonNegative() || (SymExpr(-1) - difference).isNonNegative())
    return emitNodeError(op) << "expected " << what << ", got " << a.str() << " and " << b.str();
  if (!verifying)
    addConstraint({a, b, ShapeConstraint::Equal, (describeNode(op) + ": expected " + what).str()});
  return success();
}

LogicalResult ShapeState::requireLessEqual(const SymExpr &a, const SymExpr &b, Operation *op, const Twine &what) {
  if (failed(checkOverflow(a, b, op)))
    return failure();
  if (SymExpr::provablyLessEqual(a, b))
    return success();
  if (SymExpr::provablyLessEqual(b, a - SymExpr(1)))
    return emitNodeError(op) << "expected " << what << ", got " << a.str() << " and " << b.str();
  if (!verifying)
    addConstraint({a, b, ShapeConstraint::LessEqual, (describeNode(op) + ": expected " + what).str()});
  return success();
}

FailureOr<SymDims> ShapeState::broadcast(ArrayRef<SymExpr> a, ArrayRef<SymExpr> b, Operation *op) {
  if (a.size() < b.size())
    std::swap(a, b);
  SymDims result(a.begin(), a.end());
  for (size_t i = 0; i < b.size(); ++i) {
    SymExpr &dim = result[a.size() - b.size() + i];
    const SymExpr &other = b[i];
    if (dim == other || other.isConst(1))
      continue;
    if (dim.isConst(1)) {
      dim = other;
      continue;
    }
    if (failed(checkOverflow(dim, other, op)))
      return failure();
    SymExpr merged = SymExpr::bcast(dim, other);
    std::string what = "dimension " + std::to_string(a.size() - b.size() + i) + " of the operands to broadcast";
    // Two dims of which neither can be 1 must be equal.
    if (!dim.canBeOne() && !other.canBeOne()) {
      if (failed(requireEqual(dim, other, op, what)))
        return failure();
    } else if (!verifying) {
      addConstraint({dim, other, ShapeConstraint::Broadcast, describeNode(op) + ": expected " + what});
    }
    dim = merged;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Types and drivers
//===----------------------------------------------------------------------===//

RankedTensorType typeFromDims(Type element, ArrayRef<SymExpr> dims) {
  SmallVector<int64_t> sizes;
  for (const SymExpr &dim : dims) {
    std::optional<int64_t> size = dim.tryConst();
    sizes.push_back(size && *size >= 0 ? *size : ShapedType::kDynamic);
  }
  return RankedTensorType::get(sizes, element);
}

SymDims dimsFromType(RankedTensorType type, ShapeState &state) {
  SymDims dims;
  for (int64_t size : type.getShape())
    dims.push_back(ShapedType::isDynamic(size) ? state.freshSymbol() : SymExpr(size));
  return dims;
}

LogicalResult seedArguments(Region &body, ShapeState &state) {
  if (body.empty())
    return success();
  auto function = dyn_cast_or_null<FunctionOpInterface>(body.getParentOp());
  // First the named ones, so that a made-up name collides with none.
  SmallVector<BlockArgument> unnamed;
  for (BlockArgument arg : body.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type)
      continue;
    ShapeAttr shape = function ? function.getArgAttrOfType<ShapeAttr>(arg.getArgNumber(), kShapeArgAttr) : ShapeAttr();
    if (!shape) {
      unnamed.push_back(arg);
      continue;
    }
    if (int64_t(shape.size()) != type.getRank())
      return body.getParentOp()->emitError() << "argument " << arg.getArgNumber() << ": expected " << type.getRank()
                                             << " dimensions in '" << kShapeArgAttr << "', got " << shape.size();
    SymDims dims = shape.getDims();
    for (auto [dim, size] : llvm::zip_equal(dims, type.getShape()))
      if (!ShapedType::isDynamic(size))
        dim = SymExpr(size);
    state.setDims(arg, dims);
  }
  unsigned next = 0;
  std::set<std::string> taken;
  for (BlockArgument arg : body.getArguments())
    if (std::optional<SymDims> dims = state.getDims(arg))
      for (const SymExpr &dim : *dims)
        dim.collectSymbols(taken);
  for (BlockArgument arg : unnamed) {
    SymDims dims;
    for (int64_t size : cast<RankedTensorType>(arg.getType()).getShape()) {
      if (!ShapedType::isDynamic(size)) {
        dims.push_back(SymExpr(size));
        continue;
      }
      std::string name;
      do {
        name = "d" + std::to_string(next++);
      } while (taken.count(name));
      dims.push_back(SymExpr::symbol(name));
    }
    state.setDims(arg, dims);
  }
  return success();
}

/// Fails for tensors that no machine holds, so that element counts of static types do not overflow anywhere later.
static LogicalResult checkElementCount(Operation *op, unsigned index, ArrayRef<SymExpr> dims) {
  constexpr int64_t kMaxElements = int64_t(1) << 56;
  int64_t count = 1;
  for (const SymExpr &dim : dims) {
    std::optional<int64_t> size = dim.tryConst();
    if (size == 0)
      return success();
    if (size && (__builtin_mul_overflow(count, *size, &count) || count > kMaxElements)) {
      count = kMaxElements + 1;
      break;
    }
  }
  if (count <= kMaxElements)
    return success();
  return emitNodeError(op) << "result " << index << " has too many elements";
}

LogicalResult inferOp(Operation *op, ShapeState &state) {
  auto shaped = dyn_cast<ShapeOpInterface>(op);
  if (!shaped) {
    // Ops of other dialects: their result types speak for themselves.
    for (Value result : op->getResults())
      if (auto type = dyn_cast<RankedTensorType>(result.getType()))
        state.setDims(result, dimsFromType(type, state));
    return success();
  }
  for (auto [index, operand] : llvm::enumerate(op->getOperands()))
    if (!state.hasDims(operand))
      return emitNodeError(op) << "the shape of operand " << index << " is unknown";
  for (Value result : op->getResults())
    state.forget(result);
  if (failed(shaped.inferShapes(state)))
    return failure();
  for (auto [index, result] : llvm::enumerate(op->getResults())) {
    // The type may be a placeholder: only what the op stated counts.
    std::optional<SymDims> dims = state.getInferredDims(result);
    if (!dims)
      return emitNodeError(op) << "the rank of result " << index
                               << " depends on data; ranks must be known when compiling";
    for (auto [axis, dim] : llvm::enumerate(*dims)) {
      if (dim.isOverflow())
        return state.failOverflow(op, "dimension " + Twine(axis) + " of result " + Twine(index) +
                                          " has too large or too complex a size expression");
      if (std::optional<int64_t> size = dim.tryConst(); size && *size < 0)
        return emitNodeError(op) << "dimension " << axis << " of result " << index << " would be " << *size;
    }
    if (failed(checkElementCount(op, index, *dims)))
      return failure();
  }
  return success();
}

LogicalResult inferRegion(Region &region, ShapeState &state) {
  for (Block &block : region)
    for (Operation &op : block)
      if (failed(inferOp(&op, state)))
        return failure();
  return success();
}

LogicalResult inferFunction(Operation *function, ShapeState &state) {
  for (Region &region : function->getRegions())
    if (failed(seedArguments(region, state)) || failed(inferRegion(region, state)))
      return failure();
  return success();
}

void refineResultTypes(Operation *op, const ShapeState &state) {
  for (Value result : op->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    std::optional<SymDims> dims = type ? state.getDims(result) : std::nullopt;
    if (dims)
      result.setType(typeFromDims(type.getElementType(), *dims));
  }
}

LogicalResult inferAndRefine(Operation *op, ShapeState &state) {
  if (failed(inferOp(op, state)))
    return failure();
  refineResultTypes(op, state);
  return success();
}

//===----------------------------------------------------------------------===//
// Shared by all ops
//===----------------------------------------------------------------------===//

/// Contents of an elementwise op's result, where all operands' are known.
static void inferElementwiseContents(ShapeOpInterface op, ArrayRef<SymExpr> resultDims, ShapeState &state) {
  SmallVector<SmallTensor> operands;
  for (Value operand : op->getOperands()) {
    std::optional<SmallTensor> known = SmallTensor::get(operand, state);
    if (!known)
      return;
    operands.push_back(std::move(*known));
  }
  SmallTensor::build(op->getResult(0), resultDims, state, [&](ArrayRef<int64_t> index) -> std::optional<SymFraction> {
    SmallVector<SymFraction> elements;
    for (const SmallTensor &operand : operands)
      elements.push_back(operand.atBroadcast(index));
    return op.inferElement(elements);
  });
}

LogicalResult detail::inferElementwise(Operation *op, ShapeState &state) {
  SymDims dims = *state.getDims(op->getOperand(0));
  for (Value operand : op->getOperands().drop_front()) {
    FailureOr<SymDims> merged = state.broadcast(dims, *state.getDims(operand), op);
    if (failed(merged))
      return failure();
    dims = std::move(*merged);
  }
  state.setDims(op->getResult(0), dims);
  inferElementwiseContents(cast<ShapeOpInterface>(op), dims, state);
  return success();
}

LogicalResult detail::verifyShapeOp(Operation *op) {
  // A region op is verified through its body.
  if (op->getNumRegions() != 0)
    return success();
  ShapeState state;
  state.setVerifying();
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type)
      return success();
    if (!state.hasDims(operand))
      state.setDims(operand, dimsFromType(type, state));
  }
  if (failed(cast<ShapeOpInterface>(op).inferShapes(state)))
    return failure();
  for (auto [index, result] : llvm::enumerate(op->getResults())) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    // A static type answers by itself; only what the op stated counts.
    std::optional<SymDims> dims = state.getInferredDims(result);
    if (!type || !dims)
      continue;
    RankedTensorType expected = typeFromDims(type.getElementType(), *dims);
    if (failed(verifyCompatibleShape(type.getShape(), expected.getShape())))
      return op->emitOpError() << "expected result " << index << " to be compatible with " << expected << ", got "
                               << type;
  }
  return success();
}

} // namespace ds
