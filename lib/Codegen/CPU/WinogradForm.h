//===- WinogradForm.h - The matrices of F(m x m, 3 x 3) -------------------===//
// Guarantees: for g a 3x3 filter and d a square of side m + 2: A^T [(G g G^T) * (B^T d B)] A are the m x m results of
//   the convolution (correlation) of d with g, where * multiplies element by element.
// Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks, arXiv:1509.09308.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_WINOGRADFORM_H
#define DS_LIB_CODEGEN_CPU_WINOGRADFORM_H

#include <cstdint>
#include <vector>

namespace ds {

struct WinogradForm {
  int64_t outputs; // m
  int64_t side;    // m + 2
  // Row-major.
  std::vector<double> filter; // G   [side, 3]
  std::vector<double> input;  // B^T [side, side]
  std::vector<double> output; // A^T [outputs, side]
};

/// `outputs` is 2 or 4.
const WinogradForm &winogradForm(int64_t outputs);

} // namespace ds

#endif
