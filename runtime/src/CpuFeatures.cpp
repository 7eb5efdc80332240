//===- CpuFeatures.cpp - Asks the CPU -------------------------------------===//
// Assumes: an x86-64 or AArch64 machine.
// Guarantees: no dependence on the compiler's support library.
// Declines: features that X86Features.def and AArch64Features.def do not name.
//===----------------------------------------------------------------------===//
#include "CpuFeatures.h"
#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

namespace ds::runtime {

const uint16_t HostElfMachine = EM_X86_64;
const char *const HostArchitecture = "x86_64";

namespace {
enum Register { A, B, C, D };
struct Feature {
  const char *Name;
  uint32_t Leaf, Subleaf;
  Register Where;
  unsigned Bit, State;
};
} // namespace

static const Feature Features[] = {
#define DS_X86_FEATURE(name, leaf, subleaf, where, bit, state) {name, leaf, subleaf, where, bit, state},
#include "X86Features.def"
#undef DS_X86_FEATURE
};

static bool systemSaves(unsigned State) {
  static const uint64_t Masks[] = {0, 0x6, 0xE6, 0x60000, 0x80000};
  if (State == 0)
    return true;
  uint32_t R[4];
  if (!__get_cpuid(1, &R[0], &R[1], &R[2], &R[3]) || !(R[2] >> 27 & 1)) // OSXSAVE
    return false;
  uint32_t Low, High;
  __asm__ volatile("xgetbv" : "=a"(Low), "=d"(High) : "c"(0));
  return ((uint64_t(High) << 32 | Low) & Masks[State]) == Masks[State];
}

bool cpuHasFeature(const char *Name) {
  for (const Feature &F : Features) {
    if (strcmp(F.Name, Name))
      continue;
    uint32_t R[4];
    return __get_cpuid_count(F.Leaf, F.Subleaf, &R[0], &R[1], &R[2], &R[3]) && (R[F.Where] >> F.Bit & 1) &&
           systemSaves(F.State);
  }
  return false;
}

} // namespace ds::runtime

#elif defined(__aarch64__)
#include <sys/auxv.h>

namespace ds::runtime {

const uint16_t HostElfMachine = EM_AARCH64;
const char *const HostArchitecture = "aarch64";

bool cpuHasFeature(const char *Name) {
  static const struct {
    const char *Name;
    uint64_t Hwcap, Hwcap2;
  } Features[] = {
#define DS_AARCH64_FEATURE(name, hwcap, hwcap2) {name, hwcap, hwcap2},
#include "AArch64Features.def"
#undef DS_AARCH64_FEATURE
  };
  for (const auto &F : Features)
    if (!strcmp(F.Name, Name))
      return (getauxval(AT_HWCAP) & F.Hwcap) == F.Hwcap && (getauxval(AT_HWCAP2) & F.Hwcap2) == F.Hwcap2;
  return false;
}

} // namespace ds::runtime

#else
#error "ds runs on x86-64 and AArch64"
#endif
