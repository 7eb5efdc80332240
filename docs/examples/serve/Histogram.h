//===- Histogram.h - Percentiles in a fixed amount of memory ----*- C++ -*-===//
// Assumes: values in microseconds, below an hour.
// Guarantees: a percentile is at most 3 % above the true one; adding is wait-free and allocates nothing.
// Declines: forgetting: it counts from the start of the program.
//===----------------------------------------------------------------------===//
#ifndef DS_EXAMPLES_SERVE_HISTOGRAM_H
#define DS_EXAMPLES_SERVE_HISTOGRAM_H

#include <array>
#include <atomic>
#include <cstdint>

namespace serve {

class Histogram {
public:
  void add(uint64_t value) {
    buckets[bucketOf(value)].fetch_add(1, std::memory_order_relaxed);
    uint64_t old = largest.load(std::memory_order_relaxed);
    while (value > old && !largest.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
    }
  }
  uint64_t max() const { return largest.load(std::memory_order_relaxed); }
  uint64_t count() const {
    uint64_t all = 0;
    for (const auto &bucket : buckets)
      all += bucket.load(std::memory_order_relaxed);
    return all;
  }
  /// The value that `fraction` of all values do not exceed; 0 without values.
  uint64_t percentile(double fraction) const {
    const uint64_t all = count();
    const auto wanted = uint64_t(fraction * double(all) + 0.999999);
    uint64_t seen = 0;
    for (unsigned i = 0; i < buckets.size(); ++i)
      if ((seen += buckets[i].load(std::memory_order_relaxed)) >= wanted && seen)
        return i + 1 < buckets.size() && upperEnd(i) < max() ? upperEnd(i) : max();
    return 0;
  }

private:
  // 32 buckets for each power of two: the first 32 hold one value each.
  static unsigned bucketOf(uint64_t value) {
    if (value < 32)
      return unsigned(value);
    const unsigned exponent = 63 - unsigned(__builtin_clzll(value));
    const unsigned bucket = (exponent - 4) * 32 + unsigned(value >> (exponent - 5) & 31);
    return bucket < Count ? bucket : Count - 1;
  }
  static uint64_t upperEnd(unsigned bucket) {
    if (bucket < 32)
      return bucket;
    const unsigned shift = bucket / 32 - 1;
    return ((uint64_t(32 + bucket % 32) + 1) << shift) - 1;
  }
  static constexpr unsigned Count = 29 * 32;
  std::array<std::atomic<uint64_t>, Count> buckets = {};
  std::atomic<uint64_t> largest{0};
};

} // namespace serve

#endif
