//===- Shuffle.cpp - The order of an epoch's samples -----------------------===//
// Guarantees: see Shuffle.h.
//===----------------------------------------------------------------------===//
#include "Shuffle.h"
#include "Philox.h"

namespace ds::runtime {

namespace {

/// Words of one stream of random numbers, one after another.
class Words {
public:
  Words(uint64_t Seed, uint32_t Epoch) {
    Generator.Key[0] = uint32_t(Seed);
    Generator.Key[1] = uint32_t(Seed >> 32);
    Generator.Counter[2] = Epoch;
    Generator.Counter[3] = Philox::Shuffle;
  }

  uint32_t next() {
    if (At == 4) {
      Generator.Counter[0] = uint32_t(Block);
      Generator.Counter[1] = uint32_t(Block >> 32);
      Generator.draw(Drawn);
      ++Block;
      At = 0;
    }
    return Drawn[At++];
  }

  /// A number below `Bound`, each as likely (Lemire 2019: the high half of a product, some low halves drawn again).
  uint32_t below(uint32_t Bound) {
    uint64_t Product = uint64_t(next()) * Bound;
    if (uint32_t(Product) < Bound) {
      const uint32_t Refused = (0u - Bound) % Bound;
      while (uint32_t(Product) < Refused)
        Product = uint64_t(next()) * Bound;
    }
    return uint32_t(Product >> 32);
  }

private:
  Philox Generator;
  uint64_t Block = 0;
  uint32_t Drawn[4] = {}, At = 4;
};

} // namespace

void shuffle(uint64_t Seed, uint32_t Epoch, Array<uint32_t> &Order) {
  for (size_t I = 0; I < Order.size(); ++I)
    Order[I] = uint32_t(I);
  Words Random(Seed, Epoch);
  for (size_t I = Order.size(); I > 1; --I) {
    const uint32_t J = Random.below(uint32_t(I)), Last = Order[I - 1];
    Order[I - 1] = Order[J];
    Order[J] = Last;
  }
}

} // namespace ds::runtime
