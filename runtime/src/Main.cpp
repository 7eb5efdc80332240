//===- Main.cpp - Entry of compiled programs ---------------------------------===//
// Assumes: the model's code is linked with it.
// Guarantees: see Program.h.
// Declines: everything else.
//===----------------------------------------------------------------------===//
#include "Program.h"

extern "C" const ds_program_code ds_program;

int main(int Argc, char **Argv) { return ds::runtime::runProgram(Argc, Argv, &ds_program); }
