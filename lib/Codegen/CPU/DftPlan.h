//===- DftPlan.h - How a Fourier transform of a known length is done ------===//
// Guarantees: every length has a plan of n log n operations: a transform of mixed radices where the length has small
//   prime factors only; otherwise a convolution with a chirp, by transforms of such a length (Bluestein 1970). A real
//   transform of even length is a complex one of half as many points. Tables are computed in f64, and exact where sines
//   and cosines are 0 or 1.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CODEGEN_CPU_DFTPLAN_H
#define DS_LIB_CODEGEN_CPU_DFTPLAN_H

#include <cstdint>
#include <vector>

namespace ds {

struct DftPlan {
  /// The greatest prime factor for which a butterfly of its own, which takes its square of operations, is worth while.
  static constexpr int64_t kGreatestPrime = 61;

  /// The plan of a transform of `length` >= 1 points, real on one side or not.
  static DftPlan of(int64_t length, bool isReal);

  int64_t length = 1;
  bool isHalved = false;        ///< pairs of real numbers are taken for complex ones
  int64_t points = 1;           ///< of the complex transform
  int64_t convolution = 0;      ///< points of the convolution's transforms; 0: there is none
  std::vector<int64_t> radices; ///< of `convolution`, else of `points`; the product of all

  int64_t transformPoints() const { return convolution ? convolution : points; }
  /// The roots of unity in the table are those of this order: `length`, or twice `points` where the chirp needs them.
  int64_t rootsOrder() const { return isHalved || !convolution ? length : 2 * points; }

  // Where in the table each part begins; each is a row of first, then of second numbers.
  int64_t rootsAt() const { return 0; }                                ///< cos, sin of 2 pi k / rootsOrder()
  int64_t innerRootsAt() const { return 2 * rootsOrder(); }            ///< those of order `convolution`
  int64_t chirpAt() const { return innerRootsAt() + 2 * convolution; } ///< cos, sin of pi k^2 / points
  int64_t filterAt() const { return chirpAt() + 2 * points; } ///< re, im of the chirp's transform / convolution
  int64_t tableSize() const { return convolution ? filterAt() + 2 * convolution : 2 * rootsOrder(); }
  std::vector<double> table() const;
};

/// cos and sin of 2 pi k / n, exact at multiples of a quarter turn.
double cosineOfTurn(int64_t k, int64_t n);
double sineOfTurn(int64_t k, int64_t n);

} // namespace ds

#endif
