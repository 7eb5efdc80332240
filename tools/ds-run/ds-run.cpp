//===- ds-run.cpp - Runs a library artifact ----------------------------------===//
// Assumes: an artifact made with --emit=library.
// Guarantees: the same flags as a compiled program, after the artifact's path.
// Declines: compiling.
//===----------------------------------------------------------------------===//
#include "Program.h"

int main(int Argc, char **Argv) { return ds::runtime::runProgram(Argc, Argv, nullptr, ds_model_load); }
