//===- DftPlan.cpp - How a Fourier transform of a known length is done ----===//
// Guarantees: see DftPlan.h.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/CPU/DftPlan.h"

#include <cmath>
#include <complex>

namespace ds {

double cosineOfTurn(int64_t k, int64_t n) {
  k %= n;
  if (2 * k > n)
    k = n - k;
  if (4 * k == n)
    return 0;
  return 4 * k > n ? -cosineOfTurn(n - 2 * k, 2 * n) : std::cos(2 * M_PI * double(k) / double(n));
}

double sineOfTurn(int64_t k, int64_t n) { return cosineOfTurn(4 * (k % n) + 3 * n, 4 * n); }

/// What is left of n without the factors that have butterflies. Radices of powers of two come first: they make strides
/// of whole vectors.
static int64_t factorize(int64_t n, std::vector<int64_t> &radices) {
  for (int64_t radix : {8, 4, 2})
    for (; n % radix == 0; n /= radix)
      radices.push_back(radix);
  for (int64_t prime = 3; prime <= DftPlan::kGreatestPrime && n > 1; prime += 2)
    for (; n % prime == 0; n /= prime)
      radices.push_back(prime);
  return n;
}

DftPlan DftPlan::of(int64_t length, bool isReal) {
  DftPlan plan;
  plan.length = length;
  plan.isHalved = isReal && length % 2 == 0;
  plan.points = plan.isHalved ? length / 2 : length;
  if (factorize(plan.points, plan.radices) == 1)
    return plan;
  // The least 2^a, 3 * 2^a or 5 * 2^a that holds the convolution.
  int64_t needed = 2 * plan.points - 1;
  for (int64_t odd : {1, 3, 5}) {
    int64_t size = odd;
    while (size < needed)
      size *= 2;
    if (!plan.convolution || size < plan.convolution)
      plan.convolution = size;
  }
  plan.radices.clear();
  factorize(plan.convolution, plan.radices);
  return plan;
}

using Complex = std::complex<double>;

/// out[k] = sum of x[j * stride] e^(-2 pi i j k / n), by halves while n is even.
static void spectrumOf(const Complex *x, Complex *out, int64_t n, int64_t stride) {
  if (n % 2 != 0) {
    for (int64_t k = 0; k < n; ++k) {
      out[k] = 0;
      for (int64_t j = 0; j < n; ++j)
        out[k] += x[j * stride] * Complex(cosineOfTurn(j * k, n), -sineOfTurn(j * k, n));
    }
    return;
  }
  int64_t half = n / 2;
  spectrumOf(x, out, half, 2 * stride);
  spectrumOf(x + stride, out + half, half, 2 * stride);
  for (int64_t k = 0; k < half; ++k) {
    Complex even = out[k], odd = out[half + k] * Complex(cosineOfTurn(k, n), -sineOfTurn(k, n));
    out[k] = even + odd;
    out[half + k] = even - odd;
  }
}

std::vector<double> DftPlan::table() const {
  std::vector<double> table(tableSize());
  auto roots = [&](int64_t at, int64_t order) {
    for (int64_t k = 0; k < order; ++k) {
      table[at + k] = cosineOfTurn(k, order);
      table[at + order + k] = sineOfTurn(k, order);
    }
  };
  roots(rootsAt(), rootsOrder());
  if (!convolution)
    return table;
  roots(innerRootsAt(), convolution);
  std::vector<Complex> chirp(convolution), filter(convolution);
  for (int64_t k = 0, turns = 0; k < points; turns = (turns + 2 * k + 1) % (2 * points), ++k) {
    double c = cosineOfTurn(turns, 2 * points), s = sineOfTurn(turns, 2 * points);
    table[chirpAt() + k] = c;
    table[chirpAt() + points + k] = s;
    chirp[k] = Complex(c, s);
    if (k > 0)
      chirp[convolution - k] = chirp[k];
  }
  spectrumOf(chirp.data(), filter.data(), convolution, 1);
  for (int64_t k = 0; k < convolution; ++k) {
    table[filterAt() + k] = filter[k].real() / double(convolution);
    table[filterAt() + convolution + k] = filter[k].imag() / double(convolution);
  }
  return table;
}

} // namespace ds
