//===- Target.cpp - What a program runs on --------------------------------===//
// Assumes: LLVM was built with its X86, AArch64 and NVPTX back ends.
// Guarantees: see Target.h.
//===----------------------------------------------------------------------===//
#include "ds/Codegen/Target.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/AArch64TargetParser.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;

namespace ds {

static void initializeBackEnds() {
  static bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    return true;
  }();
  (void)initialized;
}

/// The triple that artifacts name; empty if code for it cannot be made. "aarch64-linux-gnu" and other spellings of one
/// machine become the same text, so that they give the same bytes.
static std::string knownTriple(StringRef text) {
  std::string host = llvm::sys::getDefaultTargetTriple();
  if (text.empty())
    return host;
  llvm::Triple triple(llvm::Triple::normalize(text)), own(host);
  bool isKnown =
      (triple.getArch() == llvm::Triple::x86_64 || triple.getArch() == llvm::Triple::aarch64) &&
      triple.getOS() == llvm::Triple::Linux &&
      (triple.getEnvironment() == llvm::Triple::GNU || triple.getEnvironment() == llvm::Triple::UnknownEnvironment);
  if (!isKnown)
    return "";
  if (triple.getArch() == own.getArch())
    return host;
  return (llvm::Triple::getArchTypeName(triple.getArch()) + "-unknown-linux-gnu").str();
}

/// Whether a program can find out, before it runs such code, that a CPU lacks an instruction set. Features
/// that are none (tuning, system registers) are no matter.
static bool isCheckable(StringRef feature, bool isArm) {
  if (!isArm) // a version number, not a bit of CPUID
    return feature != "avx10.2" && feature != "avx10.2-512";
  static constexpr StringRef names[] = {
#define DS_AARCH64_FEATURE(name, hwcap, hwcap2) name,
#include "runtime/src/AArch64Features.def"
#undef DS_AARCH64_FEATURE
  };
  return llvm::is_contained(names, feature) || !llvm::AArch64::targetFeatureToExtension(("+" + feature).str());
}

static size_t commonPrefix(StringRef a, StringRef b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

/// "; did you mean 'znver4'?", or nothing. Of names that are equally near the one that begins alike.
static std::string nearestCpu(StringRef given, const llvm::MCSubtargetInfo *info) {
  StringRef nearest;
  unsigned best = std::min<unsigned>(2, given.size() / 3); // edits
  for (const llvm::SubtargetSubTypeKV &cpu :
       info ? info->getAllProcessorDescriptions() : ArrayRef<llvm::SubtargetSubTypeKV>()) {
    unsigned distance = given.edit_distance_insensitive(cpu.Key, /*AllowReplacements=*/true, best);
    if (distance > best ||
        (distance == best && !nearest.empty() && commonPrefix(given, cpu.Key) <= commonPrefix(given, nearest)))
      continue;
    best = distance;
    nearest = cpu.Key;
  }
  return nearest.empty() ? "" : "; did you mean '" + nearest.str() + "'?";
}

FailureOr<CpuTarget> CpuTarget::resolve(StringRef cpu, std::string &error, StringRef wanted) {
  initializeBackEnds();
  CpuTarget target;
  target.triple = knownTriple(wanted);
  if (target.triple.empty()) {
    error = "unknown target '" + wanted.str() + "'; expected x86_64-linux-gnu or aarch64-linux-gnu";
    return failure();
  }
  llvm::Triple triple(target.triple);
  llvm::Triple host(llvm::sys::getDefaultTargetTriple());
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend)
    return failure();
  bool isHost = triple.getArch() == host.getArch(), isArm = triple.getArch() == llvm::Triple::aarch64;
  if (cpu.empty())
    cpu = isHost ? "native" : "generic";
  bool isNative = cpu == "native";
  if (isNative && !isHost) {
    error = "the CPU 'native' is this machine's, which is " + host.getArchName().str() + ", not " +
            triple.getArchName().str() + "; name one, or 'generic'";
    return failure();
  }
  target.cpu = isNative ? llvm::sys::getHostCPUName().str() : cpu.str();
  llvm::SubtargetFeatures features;
  if (isNative)
    for (const auto &feature : llvm::sys::getHostCPUFeatures())
      features.AddFeature(feature.first(), feature.second);
  // An unknown name must be caught before LLVM prints a warning for every function.
  std::unique_ptr<llvm::MCSubtargetInfo> generic(backend->createMCSubtargetInfo(triple, "", ""));
  if (!generic || !generic->isCPUStringValid(target.cpu)) {
    error = "unknown target CPU '" + target.cpu + "'; expected " + (isHost ? "'native' or " : "") + "a name such as " +
            (isArm ? "'generic', 'cortex-a76', 'neoverse-n1', 'neoverse-v2'"
                   : "'x86-64-v3', 'x86-64-v4', 'skylake-avx512', 'znver4'") +
            nearestCpu(target.cpu, generic.get());
    return failure();
  }
  std::unique_ptr<llvm::MCSubtargetInfo> info(backend->createMCSubtargetInfo(triple, target.cpu, features.getString()));
  // The features that code may use, spelled out: what loading checks for.
  llvm::SubtargetFeatures all, unused;
  for (const llvm::SubtargetFeatureKV &feature : info->getAllProcessorFeatures()) {
    // A name that feature strings cannot spell (they are lower case) is a system register's.
    if (!info->getFeatureBits().test(feature.Value) || StringRef(feature.Key).lower() != feature.Key)
      continue;
    bool isUsed = isCheckable(feature.Key, isArm);
    (isUsed ? all : unused).AddFeature(feature.Key, isUsed);
  }
  target.features = all.getString();
  // Behind the others: switching a feature off takes those along that imply it.
  if (std::string off = unused.getString(); !off.empty())
    target.features += "," + off;
  if (isArm) {
    target.vectorRegisters = 32;
  } else if (info->checkFeatures("+avx512f,+avx512vl")) {
    target.vectorBytes = 64;
    target.vectorRegisters = 32;
  } else if (info->checkFeatures("+avx2,+fma")) {
    target.vectorBytes = 32;
  }
  return target;
}

//===----------------------------------------------------------------------===//
// Host and devices
//===----------------------------------------------------------------------===//

std::string DeviceTarget::str() const { return "cuda:" + arch; }

static std::unique_ptr<llvm::MCSubtargetInfo> cudaArchitectures() {
  initializeBackEnds();
  std::string error;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(triple, error);
  return std::unique_ptr<llvm::MCSubtargetInfo>(backend ? backend->createMCSubtargetInfo(triple, "", "") : nullptr);
}

/// "cuda:sm_90a".
static FailureOr<DeviceTarget> resolveDevice(StringRef text, std::string &error) {
  auto [kind, arch] = text.split(':');
  if (kind != "cuda") {
    error =
        ("unknown kind of device '" + kind + "' in '" + text + "'; expected cuda:ARCH, such as 'cuda:sm_90a'").str();
    if (kind.edit_distance_insensitive("cuda", /*AllowReplacements=*/true, 2) <= 2)
      error += ("; did you mean 'cuda:" + arch + "'?").str();
    return failure();
  }
  if (arch.empty()) {
    error = ("the device '" + text + "' needs an architecture, such as 'cuda:sm_90a'").str();
    return failure();
  }
  std::unique_ptr<llvm::MCSubtargetInfo> info = cudaArchitectures();
  if (!info || !info->isCPUStringValid(arch)) {
    error = ("unknown CUDA architecture '" + arch + "'; expected a name such as 'sm_80', 'sm_89', 'sm_90a', 'sm_100a'" +
             nearestCpu(arch, info.get()))
                .str();
    return failure();
  }
  return DeviceTarget{DeviceTarget::Kind::Cuda, arch.str()};
}

FailureOr<Target> Target::resolve(StringRef text, StringRef cpu, std::string &error) {
  SmallVector<StringRef> entries;
  if (!text.empty())
    text.split(entries, ',');
  StringRef triple;
  std::vector<DeviceTarget> devices;
  auto fail = [&](const Twine &message) {
    error = message.str();
    return failure();
  };
  for (auto [index, entry] : llvm::enumerate(entries)) {
    if (entry.empty())
      return fail("the target '" + text + "' has an empty entry; expected HOST,cuda:ARCH,...");
    if (entry.contains(':') || entry == "cuda") {
      FailureOr<DeviceTarget> device = resolveDevice(entry, error);
      if (failed(device))
        return failure();
      if (llvm::is_contained(devices, *device))
        return fail("the target '" + text + "' has the device '" + entry + "' twice");
      devices.push_back(std::move(*device));
    } else if (entry.starts_with("sm_")) {
      return fail("'" + entry + "' is no machine; did you mean the device 'cuda:" + entry + "'?");
    } else if (!triple.empty()) {
      return fail("the target '" + text + "' has two hosts, '" + triple + "' and '" + entry +
                  "'; expected one, and devices such as 'cuda:sm_90a'");
    } else if (index != 0) {
      return fail("the host '" + entry + "' comes first in a target, before devices, not as in '" + text + "'");
    } else {
      triple = entry;
    }
  }
  FailureOr<CpuTarget> host = CpuTarget::resolve(cpu, error, triple);
  if (failed(host))
    return failure();
  return Target{std::move(*host), std::move(devices)};
}

std::string Target::whyNoCode() const {
  if (devices.empty())
    return "";
  return "the target has the device '" + devices.front().str() +
         "', and this compiler generates no code for devices yet; leave it out";
}

} // namespace ds
