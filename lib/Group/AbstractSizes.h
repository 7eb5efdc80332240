//===- AbstractSizes.h - Numbers of a kernel that its launches give -------===//
// Assumes: a kernel whose sizes are expressions of the program's symbols.
// Guarantees: the kernel computes the same where its new symbols have the values that are returned. Kernels that copy
//   other parts of a tensor, or a part of another size, become equal: three hundred slices are one piece of code.
// Declines: kernels with a root, whose code is chosen by what is known of sizes.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_GROUP_ABSTRACTSIZES_H
#define DS_LIB_GROUP_ABSTRACTSIZES_H

#include "dialects/ds/shape/SymExpr.h"
#include "dialects/rt/RtDialect.h"

namespace ds {

/// What the symbols stand for that took the place of expressions in `kernel`.
std::map<std::string, SymExpr> abstractSizes(rt::KernelOp kernel);

} // namespace ds

#endif
