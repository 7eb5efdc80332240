//===- MachineLearning.cpp - Operators of ai.onnx.ml on numbers -----------===//
// Assumes: see Node.h.
// Declines: trees and the other classical models. What maps strings is in Strings.cpp.

#include "../Node.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

static void arrayFeatureExtractor(Node &n) {
  Value x = n.in(0), index = n.in(1);
  int64_t rank = n.rank(x);
  if (rank < 1)
    return (void)n.fail("needs a tensor of rank 1 or more");
  // A vector is one row.
  if (rank == 1)
    x = n.unsqueeze(x, {0});
  index = n.reshape(index, {product(n.dims(index))});
  n.set(0, n.make<GatherOp>({x, index}, {n.i64("axis", int64_t(n.rank(x)) - 1)}));
}

static void binarizer(Node &n) {
  Value x = n.in(0);
  Value threshold = n.scalar(n.getFloat("threshold", 0), n.elem(x));
  n.set(0, n.cast(n.compare(ComparePredicate::gt, x, threshold), n.elem(x)));
}

void ds::importer::registerMachineLearning(Registry &r) {
  r.add("ai.onnx.ml.ArrayFeatureExtractor", arrayFeatureExtractor);
  r.add("ai.onnx.ml.Binarizer", binarizer);
}
