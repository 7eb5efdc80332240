//===- History.h - What a run was, for its page -----------------*- C++ -*-===//
// Assumes: nothing where no page is asked for: then nothing is kept.
// Guarantees: the page is one file that needs no other, and no network.
// Declines: steps of a run before the checkpoint that it went on from.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_HISTORY_H
#define DS_RUNTIME_HISTORY_H

#include "Display.h"

namespace ds::runtime {

class History {
public:
  struct Point {
    uint64_t Step;
    double Loss, Rate;
  };
  Array<Point> Steps;
  Array<Evaluation> Evaluations;

  bool add(const StepResult &R) { return Steps.push({R.Step, R.Loss, R.Rate}); }
  bool add(const Evaluation &E) { return Evaluations.push(E); }
  /// The session was profiled. `Trained` is what made its last step: itself, a version, or NULL.
  ds_status write(const char *Path, const char *Program, const TrainStep &Step, const ds_session *Session,
                  const ds_session *Trained, ds_error *Error) const;
};

} // namespace ds::runtime

#endif
