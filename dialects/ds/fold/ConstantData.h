//===- ConstantData.h - Moving the elements of constants ------------------===//
// Guarantees: native loops over the bytes; results of more than a few elements are resources, allocated once.
// Declines (null): constants whose data is not at hand.
//===----------------------------------------------------------------------===//
#ifndef DS_DIALECTS_DS_FOLD_CONSTANTDATA_H
#define DS_DIALECTS_DS_FOLD_CONSTANTDATA_H

#include "dialects/ds/fold/Elements.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace ds {

mlir::ElementsAttr transposeConstant(mlir::ElementsAttr value, llvm::ArrayRef<int64_t> perm);
/// Shares the data of a resource.
mlir::ElementsAttr reshapeConstant(mlir::ElementsAttr value, mlir::RankedTensorType type);
/// result[i] = value[start + i * step], sizes being those of `type`; steps may be negative.
mlir::ElementsAttr sliceConstant(mlir::ElementsAttr value, mlir::RankedTensorType type, llvm::ArrayRef<int64_t> start,
                                 llvm::ArrayRef<int64_t> step);

/// A constant of `type` whose bytes (i1: one an element) `write` fills; they are zero before.
mlir::ElementsAttr writeElements(mlir::RankedTensorType type, llvm::StringRef name,
                                 llvm::function_ref<void(llvm::MutableArrayRef<char>)> write);

/// The name of a resource, to name what is made from it.
llvm::StringRef resourceName(mlir::ElementsAttr value);

/// result[i0, i1, ...] = source[offset + sum of i * stride] for elements of `width` bytes; `result` is row-major.
void gatherStrided(llvm::ArrayRef<char> source, llvm::MutableArrayRef<char> result, int64_t width,
                   llvm::ArrayRef<int64_t> sizes, int64_t offset, llvm::ArrayRef<int64_t> strides);

/// Row-major strides.
llvm::SmallVector<int64_t> rowMajorStrides(llvm::ArrayRef<int64_t> sizes);

} // namespace ds

#endif
