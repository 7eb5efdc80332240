//===- SessionNan.cpp - Runs that find where NaN comes from -----------------===//
// Assumes: DS_SESSION_CHECK_NAN was asked for. A launch writes its outputs as a whole.
// Guarantees: an input, or what a launch of the program made, that holds NaN ends the run with an error that names the
//   input, or the launch's node. Results of a run without NaN are those of any other.
// Declines: infinities, which masks are made of; half-precision numbers whose NaN is made and consumed within a kernel;
//   artifacts that do not say what their buffers hold.
//===----------------------------------------------------------------------===//
#include "Session.h"

using namespace ds::runtime;

size_t ds::runtime::findNotFinite(const void *Data, int32_t Dtype, size_t Count, bool Infinite) {
  auto Search = [&](auto Word, unsigned MantissaBits) {
    using Bits = decltype(Word);
    const Bits Sign = Bits(Bits(1) << (sizeof(Bits) * 8 - 1)), Infinity = Bits(Sign - (Bits(1) << MantissaBits));
    for (size_t I = 0; I < Count; ++I) {
      Bits Is;
      memcpy(&Is, static_cast<const char *>(Data) + I * sizeof Is, sizeof Is);
      Is = Bits(Is & Bits(Sign - 1));
      if (Is > Infinity || (Infinite && Is == Infinity))
        return I;
    }
    return Count;
  };
  switch (Dtype) {
  case DS_FLOAT16:
    return Search(uint16_t(), 10);
  case DS_BFLOAT16:
    return Search(uint16_t(), 7);
  case DS_FLOAT32:
    return Search(uint32_t(), 23);
  case DS_FLOAT64:
    return Search(uint64_t(), 52);
  default:
    return Count;
  }
}

void ds_session::checkNan(bool IsOn) {
  visit([&](ds_session &S) {
    S.CheckNan = IsOn;
    S.chooseLaunch();
    return false;
  });
}

ds_status ds_session::checkInputs(const Plan &P, ds_error *Error) const {
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; I < Meta.Inputs.size(); ++I) {
    const ds_artifact_tensor &T = Meta.Inputs[I];
    int64_t Count;
    if (!denseBytes(P.Sizes.data() + T.first_dimension, T.rank, 1, Count))
      continue; // takeInputs says so
    const size_t At = findNotFinite(InputData[I], int32_t(T.dtype), size_t(Count), /*Infinite=*/false);
    if (At < size_t(Count))
      return fail(Error, DS_BAD_INPUT, "input '%s' holds NaN, in its element number %zu", Meta.text(T.name), At);
  }
  return DS_OK;
}

int32_t ds_session::launchChecked(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel,
                                  const ds_kernel_state *State, int64_t Range, int64_t Grain) {
  ds_session &S = *reinterpret_cast<ds_session *>(Host);
  if (int32_t Result = S.Unchecked(Host, Node, Kernel, State, Range, Grain))
    return Result;
  const Metadata &Meta = S.Model->Meta;
  auto Check = [&](size_t Buffer, int64_t Bytes) {
    const ds_artifact_buffer &B = Meta.Buffers[Buffer];
    const size_t Size = dtypeSize(B.dtype), Count = Size ? size_t(Bytes) / Size : 0;
    const size_t At = B.first_launch == uint32_t(Node)
                          ? findNotFinite(S.Buffers[Buffer], int32_t(B.dtype), Count, /*Infinite=*/false)
                          : Count;
    if (At == Count)
      return true;
    S.FailedLaunch = Node;
    S.NotANumber.clear();
    S.NotANumber.append("element number %zu of %s", At, B.kind == DS_BUFFER_OUTPUT ? "output '" : "what it computes");
    if (B.kind == DS_BUFFER_OUTPUT)
      S.NotANumber.append("%s'", Meta.text(Meta.Outputs[B.index].name));
    return false;
  };
  const StageState &Stage = S.Stages[Meta.stageOf(uint64_t(Node))];
  for (size_t I = 0; I < Stage.TemporaryBuffers.size(); ++I)
    if (!Check(Stage.TemporaryBuffers[I], S.Current->Temporaries[I].Size))
      return DS_KERNEL_BAD_VALUE;
  for (uint32_t Buffer : S.EntryBuffers)
    if (const ds_artifact_buffer &B = Meta.Buffers[Buffer]; B.kind == DS_BUFFER_OUTPUT)
      if (!Check(Buffer, S.OutputBytes[B.index]))
        return DS_KERNEL_BAD_VALUE;
  return DS_KERNEL_OK;
}
