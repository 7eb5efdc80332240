//===- StepMemory.h - What a step holds, launch by launch -------*- C++ -*-===//
// Assumes: a session that has made a step.
// Guarantees: what the plan of that step says: lifetimes and sizes of the run that was.
// Declines: memory of branches and loops, which is theirs.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_STEPMEMORY_H
#define DS_RUNTIME_STEPMEMORY_H

#include "TrainStep.h"

namespace ds::runtime {

/// A part of a page: a picture of the memory over the launches of a step, and a table of what is there at the peak.
/// `Session` holds the states, `Trained` (itself, or a version) made the step.
ds_status appendStepMemory(Text &Out, const TrainStep &Step, const ds_session *Session, const ds_session *Trained,
                           ds_error *Error);

} // namespace ds::runtime

#endif
