//===- WinogradForm.cpp - The matrices of F(m x m, 3 x 3) -----------------===//
// Guarantees: see WinogradForm.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/WinogradForm.h"
#include <cassert>

namespace ds {

const WinogradForm &winogradForm(int64_t outputs) {
  // clang-format off
  static const WinogradForm two{2, 4,
      {1,     0,    0,
       1./2,  1./2, 1./2,
       1./2, -1./2, 1./2,
       0,     0,    1},
      {1,  0, -1,  0,
       0,  1,  1,  0,
       0, -1,  1,  0,
       0,  1,  0, -1},
      {1, 1,  1,  0,
       0, 1, -1, -1}};
  static const WinogradForm four{4, 6,
      { 1./4,   0,      0,
       -1./6,  -1./6,  -1./6,
       -1./6,   1./6,  -1./6,
        1./24,  1./12,  1./6,
        1./24, -1./12,  1./6,
        0,      0,      1},
      {4,  0, -5,  0, 1, 0,
       0, -4, -4,  1, 1, 0,
       0,  4, -4, -1, 1, 0,
       0, -2, -1,  2, 1, 0,
       0,  2, -1, -2, 1, 0,
       0,  4,  0, -5, 0, 1},
      {1, 1,  1, 1,  1, 0,
       0, 1, -1, 2, -2, 0,
       0, 1,  1, 4,  4, 0,
       0, 1, -1, 8, -8, 1}};
  // clang-format on
  assert(outputs == 2 || outputs == 4);
  return outputs == 2 ? two : four;
}

} // namespace ds
