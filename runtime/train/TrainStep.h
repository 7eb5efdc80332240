//===- TrainStep.h - What a model says of itself as a step ------*- C++ -*-===//
// Assumes: a loaded model with the property ds.train.
// Guarantees: after `read`, every number below is an input or output of the type and rank that its role has.
// Declines: steps of other contracts than version 1.
//
// The properties, each a text:
//   ds.train           "1"
//   ds.train.inputs    a letter for each: d data, t target, p parameter, b other state of the model, o state of the
//                      optimizer, f what the loss is scaled by (f32 scalars: the scale, steps since it changed, steps
//                      that were skipped), a accumulated gradients, l learning rate, k number of the step (from 1), s
//                      seed
//   ds.train.outputs   L the loss, n how many targets it is the mean of, c how many of them were right (-1: no such
//                      thing), p, b, o, f the new state, g the gradient of a parameter
//   ds.train.classes   how many classes a target is one of, 0: it is no class, or only the run knows how many
//   ds.train.ignored   what a target is that does not count; empty: each counts
//   ds.train.loss, ds.train.optimizer, ds.train.lr, ds.train.schedule, ds.train.initialize (Initialize.h)
// and the given symbol `mode`, which a model may lack: 0 trains, 1 makes the gradients as well, 2 evaluates; 3 adds the
// batch's gradients to the accumulated ones, 4 trains with both. Of accumulated gradients the first dimension is 0, or
// 1 where the session is to have them.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_TRAINSTEP_H
#define DS_RUNTIME_TRAINSTEP_H

#include "../src/Support.h"
#include "Schedule.h"

namespace ds::runtime {

struct TrainStep {
  static constexpr size_t None = SIZE_MAX;
  enum Mode { Train = 0, WithGradients = 1, Evaluate = 2, Accumulate = 3, Apply = 4 };

  const ds_model *Model = nullptr;
  size_t InputCount = 0;
  const char *InputRoles = "", *OutputRoles = "", *LossName = "", *Optimizer = "", *DrawRules = "";
  Array<size_t> Data;         // inputs of a batch, the target among them
  Array<size_t> States;       // inputs that each step writes anew, in order
  Array<size_t> Accumulators; // inputs
  Array<size_t> Gradients;
  /// A target is 0 to Classes - 1, or Ignored; 0: any number.
  int64_t Classes = 0, Ignored = 0;
  bool HasIgnored = false;
  size_t Target = None, Rate = None, Number = None, Seed = None; // inputs
  size_t Scale = None;                                // the input that the loss is scaled by; None: it is not
  size_t Loss = None, Counted = None, Correct = None; // outputs
  bool HasMode = false;
  double BaseRate = 0;
  Schedule Rates;
  /// The number of samples that each batch must have; 0: any. Whether each data input has a dimension of samples.
  int64_t FixedBatch = 0;
  Array<unsigned char> IsSampled;

  ds_status read(const ds_model *Model, ds_error *Error);
  ds_tensor_info input(size_t I) const {
    ds_tensor_info Info = {};
    ds_model_input(Model, I, &Info);
    return Info;
  }
  const char *inputName(size_t I) const { return input(I).name; }

private:
  ds_status readInputs(ds_error *Error);
  ds_status readOutputs(ds_error *Error);
  void readBatch();
};

/// The double that a scalar of floating-point type holds.
double scalar(const ds_tensor &T);

/// A number that reads back as the same one: the fewest digits that do, of at most 17, or 9 for a float32.
void appendNumber(Text &Out, double Value, bool IsSingle);

} // namespace ds::runtime

#endif
