//===- Import.cpp - Any bytes as an ONNX model, import alone --------------===//
// It ends with a verified module or with a message.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsDialect.h"
#include "ds/Import/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static mlir::DialectRegistry registry = [] {
    mlir::DialectRegistry all;
    all.insert<ds::DsDialect, mlir::func::FuncDialect>();
    return all;
  }();
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  unsigned messages = 0;
  context.getDiagEngine().registerHandler([&](mlir::Diagnostic &) { return ++messages, mlir::success(); });
  const llvm::StringRef model(reinterpret_cast<const char *>(bytes), size);
  auto module = ds::importOnnxBytes(context, model, "/nonexistent");
  if (!module && !messages)
    __builtin_trap();
  return 0;
}
