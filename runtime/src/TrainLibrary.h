//===- TrainLibrary.h - What the core knows of training ---------*- C++ -*-===//
// Assumes: nothing; a program that does not train has no such library linked in.
// Guarantees: the one thing that the command line of programs and runtime/train share. A program whose model is a
//   training step refers to the symbol (its linker is told), which takes the library out of its archive.
// Declines: training itself.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_TRAINLIBRARY_H
#define DS_RUNTIME_TRAINLIBRARY_H

#include "Support.h"

namespace ds::runtime {

struct TrainLibrary {
  /// The command line of a program that trains; returns the exit code.
  int (*Run)(int Argc, char **Argv, ds_model *Model);
};

/// The property of a model that is a training step, and the version of what its other properties say.
inline constexpr char TrainProperty[] = "ds.train", TrainVersion[] = "1";

} // namespace ds::runtime

#endif
