//===- BuildIdentity.h - Which compiler this is ---------------------------===//
// Guarantees: two builds whose code may differ have different identities.
// Private to lib/Driver.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_DRIVER_BUILDIDENTITY_H
#define DS_LIB_DRIVER_BUILDIDENTITY_H

#include <string>

namespace ds {

/// A line that names the program or library that this code is in, LLVM's and MLIR's, each by what its linker hashed
/// of it (the build id), or else by the hash of its file. "" where one of them has neither: then nothing that it made
/// may be told from what another one made.
const std::string &buildIdentity();

} // namespace ds

#endif
