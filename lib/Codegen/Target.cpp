//===- Target.cpp - What code generation knows of a processor -------------===//
#include "ds/Codegen/Target.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;

namespace ds {

FailureOr<CpuTarget> CpuTarget::resolve(StringRef cpu, std::string &error) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)initialized;
  CpuTarget target;
  target.triple = llvm::sys::getDefaultTargetTriple();
  llvm::Triple triple(target.triple);
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return failure();
  target.cpu = cpu == "native" || cpu.empty() ? llvm::sys::getHostCPUName().str() : cpu.str();
  llvm::SubtargetFeatures features;
  if (cpu == "native" || cpu.empty())
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      features.AddFeature(feature.first(), feature.second);
  // An unknown name must be caught before LLVM prints a warning for every function.
  std::unique_ptr<llvm::MCSubtargetInfo> generic(backend->createMCSubtargetInfo(triple, "", ""));
  if (!generic || !generic->isCPUStringValid(target.cpu)) {
    error = "unknown target CPU '" + target.cpu +
            "'; expected 'native' or a name such as 'x86-64-v3', 'x86-64-v4', "
            "'skylake-avx512', 'znver4'";
    return failure();
  }
  std::unique_ptr<llvm::MCSubtargetInfo> info(backend->createMCSubtargetInfo(triple, target.cpu, features.getString()));
  // The features that code may use, spelled out: what loading checks for.
  llvm::SubtargetFeatures all;
  for (const llvm::SubtargetFeatureKV &feature : info->getAllProcessorFeatures())
    if (info->getFeatureBits().test(feature.Value))
      all.AddFeature(feature.Key, true);
  target.features = all.getString();
  if (info->checkFeatures("+avx512f,+avx512vl")) {
    target.vectorBytes = 64;
    target.vectorRegisters = 32;
  } else if (info->checkFeatures("+avx2,+fma")) {
    target.vectorBytes = 32;
  }
  return target;
}

} // namespace ds
