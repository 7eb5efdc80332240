//===- SessionFeed.cpp - Outputs that are the next run's inputs -------------===//
// Assumes: see Session.h.
// Guarantees: nothing is copied; an output's memory is not written while it is an input (it has two places).
// Declines: outputs in strided memory of the caller.
//===----------------------------------------------------------------------===//
#include "Session.h"

using namespace ds::runtime;

ds_status ds_session::feed(size_t Output, size_t Input, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  if (Input >= Feeds.size())
    return fail(Error, DS_BAD_ARGUMENT, "there is no input number %zu; the model has %zu", Input, Feeds.size());
  if (Output != DS_NO_OUTPUT) {
    if (const size_t To = ds_model_donation(Model, Input); To != DS_NO_OUTPUT)
      return fail(Error, DS_BAD_ARGUMENT,
                  "input '%s' is donated to output '%s', which is its next value without a feed: ds_session_state_set",
                  Meta.text(Meta.Inputs[Input].name), Meta.text(Meta.Outputs[To].name));
    if (Output >= Meta.Outputs.size())
      return fail(Error, DS_BAD_ARGUMENT, "there is no output number %zu; the model has %zu", Output,
                  Meta.Outputs.size());
    const ds_artifact_tensor &To = Meta.Inputs[Input], &From = Meta.Outputs[Output];
    if (To.dtype != From.dtype || To.rank != From.rank)
      return fail(Error, DS_BAD_ARGUMENT,
                  "output '%s' (%s, %u dimensions) cannot feed input '%s' (%s, %u dimensions): they must be alike",
                  Meta.text(From.name), ds_dtype_name(int32_t(From.dtype)), From.rank, Meta.text(To.name),
                  ds_dtype_name(int32_t(To.dtype)), To.rank);
  }
  const size_t New = Output == DS_NO_OUTPUT ? 0 : Output + 1;
  FeedCount += (New != 0) - (Feeds[Input] != 0);
  Feeds[Input] = New;
  return DS_OK;
}

ds_status ds_session::resolveFeeds(const ds_tensor *&Inputs, size_t InputCount, ds_error *Error) {
  if (!FeedCount || InputCount != FedInputs.size() || !Inputs)
    return DS_OK;
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; I < InputCount; ++I) {
    FedInputs[I] = Inputs[I];
    if (!Feeds[I] || Inputs[I].dtype || Inputs[I].data)
      continue;
    const size_t From = Feeds[I] - 1;
    if (IsFresh && ds_model_input_is_optional(Model, I)) // begins with its default
      continue;
    const char *In = Meta.text(Meta.Inputs[I].name), *Out = Meta.text(Meta.Outputs[From].name);
    if (!hasOutput(From))
      return fail(Error, DS_BAD_INPUT,
                  "input '%s' is to be fed by output '%s', but there is none yet; give this run a tensor", In, Out);
    if (LastOutputs[From].strides)
      return fail(Error, DS_BAD_INPUT,
                  "input '%s' is to be fed by output '%s', which lies in strided memory; give it as a tensor", In, Out);
    FedInputs[I] = LastOutputs[From];
  }
  Inputs = FedInputs.data();
  return DS_OK;
}

ds_status ds_session_feed(ds_session *Session, size_t Output, size_t Input, ds_error *Error) {
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_feed needs a session");
  return Session->feed(Output, Input, Error);
}
