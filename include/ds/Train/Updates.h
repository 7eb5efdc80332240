//===- Updates.h - The formulas of optimizers -----------------------------===//
// Assumes: an expression type `E` with +, -, * and / (of two, and of one and a double) and `squareRoot`.
// Guarantees: what training steps (lib/Train) and ONNX's operators of optimizers (lib/Import) have in common is one
//   formula. Each returns the next parameter, and what is kept of it from now on in place of what was.
// Sources: Sutskever et al. 2013 (momentum, in PyTorch's form), Kingma and Ba 2015 (Adam), Duchi et al. 2011 (Adagrad).
//===----------------------------------------------------------------------===//
#ifndef DS_TRAIN_UPDATES_H
#define DS_TRAIN_UPDATES_H

namespace ds {

/// `added` is what the gradient adds to the velocity: itself, or less.
template <typename E>
E momentumUpdate(E parameter, E gradient, E added, E &velocity, E rate, double momentum, bool isNesterov) {
  velocity = velocity * momentum + added;
  return parameter - rate * (isNesterov ? gradient + velocity * momentum : velocity);
}

/// `rate` has the correction of the mean's bias. That of the square's is in `root` (divided by it before `epsilon` is
/// added), or, without, in `rate` as well.
template <typename E>
E adamUpdate(E parameter, E gradient, E &mean, E &square, E rate, double beta1, double beta2, double epsilon,
             const E *root = nullptr) {
  mean = mean * beta1 + gradient * (1 - beta1);
  square = square * beta2 + gradient * gradient * (1 - beta2);
  return parameter - rate * (mean / ((root ? squareRoot(square) / *root : squareRoot(square)) + epsilon));
}

template <typename E> E adagradUpdate(E parameter, E gradient, E &squares, E rate, double epsilon) {
  squares = squares + gradient * gradient;
  return parameter - rate * gradient / (squareRoot(squares) + epsilon);
}

} // namespace ds

#endif
