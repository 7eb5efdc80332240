//===- Random.h - What random numbers are drawn by ------------------------===//
// Assumes: functions with bodies.
// Guarantees: arguments of functions for the seed and the number of the run; two functions of which one runs in the
//   other's place have the same.
// Declines: drawing (GraphImporter::randomKey).

#ifndef DS_LIB_IMPORT_ONNX_RANDOM_H
#define DS_LIB_IMPORT_ONNX_RANDOM_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace ds::importer {

/// The arguments of a function that is to be trained, i64 scalars after its last one (`ds.role`).
void addSeed(mlir::func::FuncOp function);
/// Where one of two such functions has them, the other one gets them, too.
void alignSeeds(mlir::func::FuncOp a, mlir::func::FuncOp b);
/// The same of the generators of two models.
void alignGenerators(mlir::ModuleOp a, mlir::func::FuncOp mainOfA, mlir::ModuleOp b, mlir::func::FuncOp mainOfB);

} // namespace ds::importer

#endif // DS_LIB_IMPORT_ONNX_RANDOM_H
