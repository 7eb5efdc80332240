//===- Evaluate.cpp - Elementwise ops on constants ------------------------===//
// Guarantees: results are rounded once, from double; integers wrap at their width.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/SmallFloats.h"
#include "dialects/ds/ir/DsOps.h"
#include <cstring>
#include <numbers>

using namespace mlir;

namespace ds {

//===----------------------------------------------------------------------===//
// Host arithmetic
//===----------------------------------------------------------------------===//

namespace detail::host {
double relu(double x) { return x < 0 ? 0 : x; }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double max(double a, double b) { return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b); }
double min(double a, double b) { return std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b); }
double floorMod(double a, double b) {
  double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
double gelu(double x, bool tanhForm) {
  if (tanhForm)
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  return 0.5 * x * (1 + std::erf(x * std::numbers::sqrt2 / 2));
}
int64_t wrapAdd(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }
int64_t wrapSub(int64_t a, int64_t b) { return int64_t(uint64_t(a) - uint64_t(b)); }
int64_t wrapMul(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
std::optional<int64_t> divide(int64_t a, int64_t b, bool isUnsigned) {
  if (b == 0)
    return std::nullopt; // A run-time error.
  if (isUnsigned)
    return int64_t(uint64_t(a) / uint64_t(b));
  return b == -1 ? wrapSub(0, a) : a / b;
}
std::optional<int64_t> modulo(int64_t a, int64_t b, bool isUnsigned, bool truncating) {
  if (b == 0)
    return std::nullopt;
  if (isUnsigned)
    return int64_t(uint64_t(a) % uint64_t(b));
  if (b == -1)
    return 0;
  int64_t r = a % b;
  return !truncating && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
std::optional<int64_t> power(int64_t a, int64_t b) {
  if (b < 0)
    return a == 1 ? std::optional<int64_t>(1) : std::nullopt;
  int64_t result = 1;
  for (; b != 0; b >>= 1, a = wrapMul(a, a))
    if (b & 1)
      result = wrapMul(result, a);
  return result;
}
bool less(int64_t a, int64_t b, bool isUnsigned) { return isUnsigned ? uint64_t(a) < uint64_t(b) : a < b; }
int64_t shiftLeft(int64_t a, int64_t b) { return uint64_t(b) >= 64 ? 0 : int64_t(uint64_t(a) << b); }
int64_t shiftRight(int64_t a, int64_t b, bool isUnsigned) {
  uint64_t by = std::min<uint64_t>(uint64_t(b), 64);
  if (isUnsigned)
    return by == 64 ? 0 : int64_t(uint64_t(a) >> by);
  return a >> std::min<uint64_t>(by, 63);
}
} // namespace detail::host

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// As kernels do (floatToInt of ElementBuilder): without `saturate`, a number past the ends of i32 (of signed types up
/// to 32 bits), u64 or else i64 becomes the nearest that a float of `mantissa` bits has within them; then the low bits
/// count.
static int64_t doubleToInt(double value, ElementKind kind, bool saturate, int mantissa) {
  if (std::isnan(value))
    return 0;
  const int bits = int(getElementBytes(kind)) * 8;
  if (saturate && bits < 64) {
    value = std::max(value, isUnsigned(kind) ? 0 : -std::ldexp(1.0, bits - 1));
    value = std::min(value, std::ldexp(1.0, isUnsigned(kind) ? bits : bits - 1) - 1);
  }
  const bool isWide = kind == ElementKind::U64;
  const int top = isWide ? 64 : bits <= 32 && !isUnsigned(kind) ? 31 : 63;
  value = std::max(value, isWide ? 0 : -std::ldexp(1.0, top));
  value = std::min(value, std::ldexp(1.0, top) - (top > mantissa ? std::ldexp(1.0, top - mantissa) : 1.0));
  return isWide ? int64_t(uint64_t(value)) : int64_t(value);
}

template <typename T> static void store(char *to, T value) { std::memcpy(to, &value, sizeof(T)); }

/// Rounds once: an integer of 64 bits that became a double before would be rounded twice.
template <typename T> static void storeFloat(char *to, ElementKind kind, T value) {
  switch (kind) {
  case ElementKind::F16:
    return store(to, floatToHalf(float(value)));
  case ElementKind::BF16:
    return store(to, floatToBfloat(float(value)));
  case ElementKind::F32:
    return store(to, float(value));
  default:
    return store(to, double(value));
  }
}

FailureOr<std::vector<char>> detail::evaluateElementwise(Operation *op, ArrayRef<ElementsView> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  std::optional<ElementKind> kind = getElementKind(type.getElementType());
  auto rule = cast<ElementRuleOpInterface>(op);
  if (!type.hasStaticShape() || !kind || isSmallType(type.getElementType()))
    return failure();
  int64_t bytes = getElementBytes(*kind), count = type.getNumElements(), rank = type.getRank();
  bool floats = false, isUnsigned = false, saturate = op->hasAttr("saturate");
  // Integers beside floats are computed with in f64, small floats in f32.
  int mantissa = 24;
  // The signedness of the last operand counts: a select's condition is i1.
  for (const ElementsView &operand : operands) {
    floats |= isFloat(operand.getKind());
    if (operand.getKind() == ElementKind::F64 || !isFloat(operand.getKind()))
      mantissa = 53;
    isUnsigned = ds::isUnsigned(operand.getKind());
  }

  // Strides of each operand over the result's dims; 0 where it broadcasts.
  SmallVector<SmallVector<int64_t>> strides;
  for (const ElementsView &operand : operands) {
    SmallVector<int64_t> own(rank, 0);
    ArrayRef<int64_t> shape = operand.getType().getShape();
    int64_t stride = 1;
    for (int64_t d = int64_t(shape.size()) - 1; d >= 0; --d) {
      own[rank - int64_t(shape.size()) + d] = shape[d] == 1 ? 0 : stride;
      stride *= shape[d];
    }
    strides.push_back(std::move(own));
  }

  std::vector<char> result(count * bytes);
  SmallVector<int64_t> index(rank, 0), at(operands.size(), 0);
  SmallVector<double> doubles(operands.size());
  SmallVector<int64_t> ints(operands.size());
  for (int64_t flat = 0; flat < count; ++flat) {
    char *to = result.data() + flat * bytes;
    for (auto [k, operand] : llvm::enumerate(operands))
      if (floats)
        doubles[k] = operand.getDouble(at[k]);
      else
        ints[k] = operand.getInt(at[k]);
    if (floats) {
      std::optional<double> value = rule.computeFloat(doubles);
      if (!value)
        return failure();
      if (isFloat(*kind))
        storeFloat(to, *kind, *value);
      else if (*kind == ElementKind::I1)
        *to = *value != 0;
      else {
        int64_t integer = doubleToInt(*value, *kind, saturate, mantissa);
        std::memcpy(to, &integer, bytes);
      }
    } else {
      std::optional<int64_t> value = rule.computeInt(ints, isUnsigned);
      if (!value)
        return failure();
      if (isFloat(*kind) && isUnsigned)
        storeFloat(to, *kind, uint64_t(*value));
      else if (isFloat(*kind))
        storeFloat(to, *kind, *value);
      else if (*kind == ElementKind::I1)
        *to = *value != 0;
      else
        std::memcpy(to, &*value, bytes);
    }
    // The next index, and what it reads.
    for (int64_t d = rank - 1; d >= 0; --d) {
      for (size_t k = 0; k < operands.size(); ++k)
        at[k] += strides[k][d];
      if (++index[d] < type.getDimSize(d))
        break;
      for (size_t k = 0; k < operands.size(); ++k)
        at[k] -= strides[k][d] * type.getDimSize(d);
      index[d] = 0;
    }
  }
  return result;
}

} // namespace ds
