//===- StringLibrary.h - What the core knows of strings ---------*- C++ -*-===//
// Assumes: nothing; a program without operators on strings has no such library linked in.
// Guarantees: the one thing that the core and runtime/strings share. Whoever needs strings refers to the symbol, which
//   takes the library out of its archive: a program whose model has them (its linker is told), a model's object file,
//   and what loads any model at all (ModelLoad.cpp).
// Declines: strings themselves.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_STRINGLIBRARY_H
#define DS_RUNTIME_STRINGLIBRARY_H

#include "Support.h"

namespace ds::runtime {

struct StringLibrary {
  /// A table of a session's strings, the context of its operators; NULL without memory.
  void *(*Create)();
  void (*Destroy)(void *Table);
  uint64_t (*Memory)(const void *Table);
  /// The operator of the domain `ds.string`; NULL for another name.
  const ds_custom_op *(*FindOperator)(const char *Name);
};

/// The domain of the operators on strings.
inline constexpr char StringDomain[] = "ds.string";

} // namespace ds::runtime

#endif
