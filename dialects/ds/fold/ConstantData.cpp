//===- ConstantData.cpp - Moving the elements of constants ----------------===//
// Guarantees: see ConstantData.h.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/ConstantData.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/SmallVector.h"
#include <sys/mman.h>

using namespace mlir;

namespace ds {

SmallVector<int64_t> rowMajorStrides(ArrayRef<int64_t> sizes) {
  SmallVector<int64_t> strides(sizes.size(), 1);
  for (size_t d = sizes.size(); d-- > 1;)
    strides[d - 1] = strides[d] * sizes[d];
  return strides;
}

//===----------------------------------------------------------------------===//
// Strided copies
//===----------------------------------------------------------------------===//

namespace {
struct Loop {
  int64_t size, from, to;
};
} // namespace

/// The two dims that run innermost in source and result are walked in squares, so that both sides use whole cache
/// lines.
template <typename T> static void copySquares(const T *from, T *to, const Loop &a, const Loop &c) {
  constexpr int64_t kSquare = 32;
  for (int64_t i = 0; i < a.size; i += kSquare)
    for (int64_t j = 0; j < c.size; j += kSquare)
      for (int64_t k = i, end = std::min(a.size, i + kSquare); k < end; ++k)
        for (int64_t l = j, last = std::min(c.size, j + kSquare); l < last; ++l)
          to[k * a.to + l * c.to] = from[k * a.from + l * c.from];
}

template <typename T> static void copyLoops(const T *from, T *to, ArrayRef<Loop> loops) {
  if (loops.size() == 2)
    return copySquares(from, to, loops[0], loops[1]);
  for (int64_t i = 0; i < loops[0].size; ++i)
    copyLoops(from + i * loops[0].from, to + i * loops[0].to, loops.drop_front());
}

template <typename T>
static void gatherAs(ArrayRef<char> source, MutableArrayRef<char> result, SmallVector<Loop> loops, int64_t offset) {
  // The loop that is nearest in the source goes beside the result's innermost one.
  while (loops.size() < 2)
    loops.insert(loops.begin(), {1, 0, 0});
  auto *nearest = std::min_element(loops.begin(), loops.end() - 1, [](const Loop &a, const Loop &b) {
    return (a.size == 1 ? INT64_MAX : std::abs(a.from)) < (b.size == 1 ? INT64_MAX : std::abs(b.from));
  });
  std::rotate(nearest, nearest + 1, loops.end() - 1);
  copyLoops(reinterpret_cast<const T *>(source.data()) + offset, reinterpret_cast<T *>(result.data()),
            ArrayRef<Loop>(loops));
}

void gatherStrided(ArrayRef<char> source, MutableArrayRef<char> result, int64_t width, ArrayRef<int64_t> sizes,
                   int64_t offset, ArrayRef<int64_t> strides) {
  if (llvm::is_contained(sizes, 0))
    return;
  // Dims of 1 vanish, and neighbours that run on in both are one.
  SmallVector<Loop> loops;
  for (auto [size, from, to] : llvm::zip_equal(sizes, strides, rowMajorStrides(sizes))) {
    if (size == 1)
      continue;
    if (!loops.empty() && loops.back().from == size * from && loops.back().to == size * to)
      loops.back() = {loops.back().size * size, from, to};
    else
      loops.push_back({size, from, to});
  }
  switch (width) {
  case 1:
    return gatherAs<uint8_t>(source, result, loops, offset);
  case 2:
    return gatherAs<uint16_t>(source, result, loops, offset);
  case 4:
    return gatherAs<uint32_t>(source, result, loops, offset);
  default:
    return gatherAs<uint64_t>(source, result, loops, offset);
  }
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

StringRef resourceName(ElementsAttr value) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return resource.getRawHandle().getKey();
  return "constant";
}

/// Large ones are pages of their own: zero as they come, large ones if the system has them (a fault for 2 MiB instead
/// of 4 KiB), and gone when they are freed.
static AsmResourceBlob allocateZeros(size_t bytes) {
  constexpr size_t kLarge = 1 << 20;
  if (bytes >= kLarge)
    if (void *pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pages != MAP_FAILED) {
      madvise(pages, bytes, MADV_HUGEPAGE); // no matter if there are none
      return AsmResourceBlob(
          ArrayRef<char>(static_cast<char *>(pages), bytes), /*dataAlignment=*/64,
          [](void *data, size_t size, size_t) { munmap(data, size); }, /*dataIsMutable=*/true);
    }
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(bytes, /*align=*/64, /*dataIsMutable=*/true);
  std::memset(blob.getMutableData().data(), 0, bytes);
  return blob;
}

ElementsAttr writeElements(RankedTensorType type, StringRef name, function_ref<void(MutableArrayRef<char>)> write) {
  constexpr int64_t kMaxLiteral = 64;
  int64_t count = type.getNumElements(), bytes = count * getElementBytes(*getElementKind(type.getElementType()));
  if (count <= kMaxLiteral) {
    std::vector<char> data(bytes);
    write(data);
    return makeElements(type, std::move(data), name);
  }
  AsmResourceBlob blob = allocateZeros(bytes);
  write(blob.getMutableData());
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

/// A constant of `type` that reads `value` with strides.
static ElementsAttr gatherConstant(ElementsAttr value, RankedTensorType type, int64_t offset,
                                   ArrayRef<int64_t> strides) {
  std::optional<ElementsView> view = ElementsView::get(value);
  if (!view)
    return {};
  if (view->isSplat())
    return cast<DenseElementsAttr>(value).resizeSplat(type);
  return writeElements(type, resourceName(value), [&](MutableArrayRef<char> result) {
    gatherStrided(view->bytes(), result, getElementBytes(view->getKind()), type.getShape(), offset, strides);
  });
}

ElementsAttr transposeConstant(ElementsAttr value, ArrayRef<int64_t> perm) {
  auto type = cast<RankedTensorType>(value.getShapedType());
  SmallVector<int64_t> own = rowMajorStrides(type.getShape()), strides, sizes;
  for (int64_t axis : perm) {
    strides.push_back(own[axis]);
    sizes.push_back(type.getShape()[axis]);
  }
  return gatherConstant(value, RankedTensorType::get(sizes, type.getElementType()), 0, strides);
}

ElementsAttr sliceConstant(ElementsAttr value, RankedTensorType type, ArrayRef<int64_t> start, ArrayRef<int64_t> step) {
  SmallVector<int64_t> strides = rowMajorStrides(cast<RankedTensorType>(value.getShapedType()).getShape());
  int64_t offset = 0;
  for (auto [stride, first, by] : llvm::zip_equal(strides, start, step)) {
    offset += first * stride;
    stride *= by;
  }
  return gatherConstant(value, type, offset, strides);
}

ElementsAttr reshapeConstant(ElementsAttr value, RankedTensorType type) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  if (auto dense = dyn_cast<DenseElementsAttr>(value))
    return dense.reshape(type);
  return {};
}

} // namespace ds
