//===- SessionCall.cpp - Branches and loops: programs inside a program -----===//
// Assumes: calls and bodies fit each other (Model.cpp checked it).
// Guarantees: what a body made lies in the body's own memory, and stays there until the session's next run; a loop's
//   state is handed from iteration to iteration without a copy.
// Declines: bodies that run at the same time.
//===----------------------------------------------------------------------===//
#include "SessionCustom.h"
#include <new>

using namespace ds::runtime;

CallState::~CallState() {
  for (size_t I = 0; I < KeptCount; ++I)
    Kept[I].~KeptOutput();
  free(Kept);
  for (ds_session *Body : Bodies)
    ds_session_destroy(Body);
  if (Custom)
    Custom->~CustomState();
  free(Custom);
}

void CallState::release(MemorySource &Memory) {
  for (size_t I = 0; I < KeptCount; ++I)
    Kept[I].Memory.release(Memory);
  if (Custom)
    for (Region &R : Custom->Memory)
      R.release(Memory);
}

ds_status ds_session::createCalls(const ds_session_options &Options, ds_error *Error) {
  const Table<ds_artifact_call> &All = Model->Meta.Calls;
  if (All.size() == 0)
    return DS_OK;
  Calls = static_cast<CallState *>(calloc(All.size(), sizeof(CallState)));
  if (!Calls || !Made.resize(Model->Meta.Dimensions.size()))
    return outOfMemory(Error);
  for (; CallCount < All.size(); ++CallCount)
    new (&Calls[CallCount]) CallState;
  const ds_model *Outermost = Model->Outermost ? Model->Outermost : Model;
  for (size_t I = 0; I < All.size(); ++I) {
    const ds_artifact_call &C = All[I];
    CallState &S = Calls[I];
    for (size_t B = 0; B < bodyCount(C); ++B)
      if (ds_status Status = create(Outermost->Bodies[C.bodies[B]], Options, this, S.Bodies[B], Error))
        return Status;
    if (!S.Inputs.resize(size_t(C.input_count) + 1))
      return outOfMemory(Error);
    if (C.kind == DS_CALL_CUSTOM) {
      if (ds_status Status = createCustom(C, S, Options, Error))
        return Status;
      continue;
    }
    const size_t Kept = C.kind == DS_CALL_LOOP ? C.output_count - C.split : 0;
    S.Kept = static_cast<KeptOutput *>(calloc(Kept ? Kept : 1, sizeof(KeptOutput)));
    if (!S.Kept)
      return outOfMemory(Error);
    for (; S.KeptCount < Kept; ++S.KeptCount)
      new (&S.Kept[S.KeptCount]) KeptOutput;
  }
  return DS_OK;
}

/// The symbols that the body gets from its caller.
void ds_session::giveSymbols(const ds_artifact_call &C, size_t Index, const Plan &P, ds_session &Body) const {
  const Metadata &Its = Body.Model->Meta;
  uint64_t Argument = C.first_argument[Index];
  for (size_t I = 0; I < Its.Symbols.size(); ++I)
    if (Its.Symbols[I].input == DS_ARTIFACT_GIVEN)
      Body.Symbols[I] = number(Model->Meta.Arguments[Argument++], P);
}

ds_tensor ds_session::operand(const ds_artifact_operand &O, const Plan &P) const {
  return {Buffers[O.buffer], int32_t(O.dtype), int32_t(O.rank), P.Sizes.data() + O.first_dimension, nullptr};
}

/// `T` becomes what the operand, an output of the call, is from here on.
ds_status ds_session::takeResult(const ds_artifact_call &C, const ds_artifact_operand &O, const ds_tensor &T,
                                 const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  Buffers[O.buffer] = T.data;
  for (uint32_t D = 0; D < O.rank; ++D) {
    const ds_artifact_number &N = Meta.Dimensions[O.first_dimension + D].size;
    if (Meta.isKnown(N, C.stage) && number(N, P) != T.shape[D])
      return fail(Error, DS_BAD_INPUT, "%s: a result has %lld in dimension %u, where %lld was expected",
                  Meta.text(C.source), static_cast<long long>(T.shape[D]), D, static_cast<long long>(number(N, P)));
    Made[O.first_dimension + D] = T.shape[D];
  }
  return DS_OK;
}

ds_status ds_session::branch(const ds_artifact_call &C, CallState &S, const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  const size_t Index = *static_cast<const unsigned char *>(Buffers[C.condition]) ? 0 : 1;
  ds_session &Body = *S.Bodies[Index];
  const uint32_t First = Index ? C.split : 0, Count = Index ? C.input_count - C.split : C.split;
  for (uint32_t I = 0; I < Count; ++I)
    S.Inputs[I] = operand(Meta.Operands[C.first_operand + First + I], P);
  giveSymbols(C, Index, P, Body);
  if (ds_status Status = Body.run(S.Inputs.data(), Count, nullptr, 0, Error))
    return Status;
  for (uint32_t I = 0; I < C.output_count; ++I)
    if (ds_status Status =
            takeResult(C, Meta.Operands[C.first_operand + C.input_count + I], Body.LastOutputs[I], P, Error))
      return Status;
  return DS_OK;
}

/// Appends what an iteration made.
ds_status ds_session::keep(const ds_artifact_call &C, KeptOutput &Kept, const ds_tensor &T, ds_error *Error) {
  const size_t Rank = size_t(T.rank);
  if (Kept.Count == 0) {
    if (!Kept.Shape.resize(Rank + 1))
      return outOfMemory(Error);
    if (Rank)
      memcpy(Kept.Shape.data() + 1, T.shape, Rank * sizeof(int64_t));
    if (!denseBytes(T.shape, T.rank, dtypeSize(uint32_t(T.dtype)), Kept.Bytes))
      return outOfMemory(Error);
  } else if (Rank && memcmp(Kept.Shape.data() + 1, T.shape, Rank * sizeof(int64_t))) {
    Text Was, Is;
    appendShape(Was, Kept.Shape.data() + 1, Rank);
    appendShape(Is, T.shape, Rank);
    return fail(Error, DS_BAD_INPUT,
                "%s: iterations make values of different shapes, %s and %s, which cannot be stacked",
                Model->Meta.text(C.source), Was.str(), Is.str());
  }
  int64_t Needed;
  if (!multiply(Kept.Bytes, ++Kept.Count, Needed))
    return outOfMemory(Error);
  if (Needed > int64_t(Kept.Memory.Size)) {
    Region Grown;
    if (Needed > INT64_MAX / 2 || !Grown.reserve(Memory, 2 * Needed))
      return fail(Error, DS_OUT_OF_MEMORY, "%s: cannot get %lld bytes for what the iterations made",
                  Model->Meta.text(C.source), static_cast<long long>(Needed));
    if (Needed > Kept.Bytes)
      memcpy(Grown.Data, Kept.Memory.Data, size_t(Needed - Kept.Bytes));
    Kept.Memory.release(Memory);
    Kept.Memory = Grown;
  }
  if (Kept.Bytes)
    memcpy(Kept.Memory.Data + (Needed - Kept.Bytes), T.data, size_t(Kept.Bytes));
  return DS_OK;
}

/// The kept values of all iterations as one tensor.
ds_status ds_session::takeKept(const ds_artifact_call &C, KeptOutput &Kept, const ds_artifact_operand &O,
                               const ds_artifact_tensor &Each, const Metadata &Its, const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  if (Kept.Count == 0) {
    // Nothing was made: what is known of the sizes beforehand, and 0 for the others.
    if (!Kept.Shape.resize(size_t(O.rank)))
      return outOfMemory(Error);
    for (uint32_t D = 1; D < O.rank; ++D) {
      const ds_artifact_number &N = Meta.Dimensions[O.first_dimension + D].size;
      const ds_artifact_number &I = Its.Dimensions[Each.first_dimension + D - 1].size;
      Kept.Shape[D] = Meta.isKnown(N, C.stage) ? number(N, P) : I.kind == DS_NUMBER_CONSTANT ? I.value : 0;
    }
  }
  Kept.Shape[0] = Kept.Count;
  const ds_tensor T = {Kept.Count && Kept.Bytes ? Kept.Memory.Data : nothing(), int32_t(O.dtype), int32_t(O.rank),
                       Kept.Shape.data(), nullptr};
  return takeResult(C, O, T, P, Error);
}

ds_status ds_session::loop(const ds_artifact_call &C, CallState &S, const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  ds_session &Body = *S.Bodies[0];
  int64_t Trips = INT64_MAX, Iteration = 0;
  if (C.trips != DS_ARTIFACT_NO_BUFFER) {
    int32_t Narrow;
    memcpy(&Trips, Buffers[C.trips], dtypeSize(C.trips_dtype));
    if (C.trips_dtype == DS_INT32) {
      memcpy(&Narrow, Buffers[C.trips], sizeof Narrow);
      Trips = Narrow;
    }
  }
  bool GoOn = C.condition == DS_ARTIFACT_NO_BUFFER || *static_cast<const unsigned char *>(Buffers[C.condition]);
  S.Inputs[0] = {&Iteration, DS_INT64, 0, nullptr, nullptr};
  for (uint32_t I = 0; I < C.input_count; ++I)
    S.Inputs[I + 1] = operand(Meta.Operands[C.first_operand + I], P);
  for (size_t I = 0; I < S.KeptCount; ++I)
    S.Kept[I].Count = 0;
  for (; Iteration < Trips && GoOn; ++Iteration) {
    giveSymbols(C, 0, P, Body);
    if (ds_status Status = Body.run(S.Inputs.data(), size_t(C.input_count) + 1, nullptr, 0, Error))
      return Status;
    GoOn = *static_cast<const unsigned char *>(Body.LastOutputs[0].data);
    for (uint32_t I = 0; I < C.split; ++I)
      S.Inputs[I + 1] = Body.LastOutputs[I + 1];
    for (size_t I = 0; I < S.KeptCount; ++I)
      if (ds_status Status = keep(C, S.Kept[I], Body.LastOutputs[1 + C.split + I], Error))
        return Status;
  }
  const uint64_t Outputs = C.first_operand + C.input_count;
  for (uint32_t I = 0; I < C.split; ++I)
    if (ds_status Status = takeResult(C, Meta.Operands[Outputs + I], S.Inputs[I + 1], P, Error))
      return Status;
  const Metadata &Its = Body.Model->Meta;
  for (size_t I = 0; I < S.KeptCount; ++I)
    if (ds_status Status =
            takeKept(C, S.Kept[I], Meta.Operands[Outputs + C.split + I], Its.Outputs[1 + C.split + I], Its, P, Error))
      return Status;
  return DS_OK;
}

ds_status ds_session::call(size_t Index, const Plan &P, ds_error *Error) {
  const ds_artifact_call &C = Model->Meta.Calls[Index];
  CallState &S = Calls[Index];
  return C.kind == DS_CALL_LOOP     ? loop(C, S, P, Error)
         : C.kind == DS_CALL_CUSTOM ? custom(C, S, P, Error)
                                    : branch(C, S, P, Error);
}
