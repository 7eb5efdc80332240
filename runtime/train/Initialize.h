//===- Initialize.h - Parameters drawn anew ---------------------*- C++ -*-===//
// Assumes: a step whose property ds.train.initialize has a rule for each parameter and state of the model, in the order
//   of the inputs, with ";" between them: uniform=B (from -B to B), normal=S (of mean 0 and deviation S), constant=C,
//   keep.
// Guarantees: a value is a function of the seed, the parameter's name and the element's number alone: the same bits on
//   every machine (no function of the C library has a part in them), whatever else the model has.
// Declines: element types other than float32 and float64.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_INITIALIZE_H
#define DS_RUNTIME_INITIALIZE_H

#include "TrainStep.h"

namespace ds::runtime {

struct DrawRule {
  enum { Keep, Constant, Uniform, Normal } Kind = Keep;
  double Value = 0;

  /// Reads the rule at the start of the text; what follows it, or NULL where there is none.
  const char *parse(const char *Text);
  void append(Text &Out) const;
};

/// A number of the rule for element `Index` of the parameter whose name has that checksum (CRC-32).
double drawElement(const DrawRule &Rule, uint64_t Seed, uint32_t Name, uint64_t Index);

/// The rule of one of Step.States; false where the model has none for it.
bool findRule(const TrainStep &Step, size_t Input, DrawRule &Out);

/// Draws the session's states anew. DS_UNSUPPORTED where the model has no rules.
ds_status initializeStates(const TrainStep &Step, ds_session *Session, uint64_t Seed, ds_error *Error);

} // namespace ds::runtime

#endif
