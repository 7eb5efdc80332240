//===- CpuFeatures.h - What this machine's CPU can do -----------*- C++ -*-===//
// Assumes: nothing.
// Guarantees: a feature counts as present only where the operating system saves its registers too.
// Declines: features it has no name for, which it reports as missing.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_CPUFEATURES_H
#define DS_RUNTIME_CPUFEATURES_H

#include <stdint.h>

namespace ds::runtime {

/// Whether the CPU has the feature of that (LLVM's) name.
bool cpuHasFeature(const char *Name);

/// The e_machine number of ELF files that this machine runs, and the architecture's name as in target triples.
extern const uint16_t HostElfMachine;
extern const char *const HostArchitecture;

} // namespace ds::runtime

#endif
