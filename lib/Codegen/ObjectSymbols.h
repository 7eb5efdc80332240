//===- ObjectSymbols.h - Renames the symbols of an object file ------------===//
// Assumes: an ELF64 object file of this machine's byte order, as LLVM writes it.
// Guarantees: nothing but names changes: code and relocations refer to symbols by number.
// Private to lib/Codegen.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_OBJECTSYMBOLS_H
#define DS_LIB_CODEGEN_OBJECTSYMBOLS_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace ds {

/// Gives each named symbol the name that `rename` makes of it. False, and `object` as it was, where it is no such file.
bool renameSymbols(std::string &object, llvm::function_ref<std::string(llvm::StringRef)> rename);

} // namespace ds

#endif
