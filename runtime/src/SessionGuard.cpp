//===- SessionGuard.cpp - Runs that find faults of memory -------------------===//
// Assumes: DS_SESSION_GUARD was asked for.
// Guarantees: each buffer and each worker's scratch is a piece of memory of its own (Guard.h), poisoned before it is
//   written; inputs and weights cannot be written; a temporary cannot be touched once its life is over. What a launch
//   writes beside its buffers ends the run with an error that names its node.
// Declines: finding what lies within a buffer: an element that is read before it is written shows as NaN or -1.
//===----------------------------------------------------------------------===//
#include "Guard.h"
#include "Session.h"
#include <initializer_list>
#include <new>

using namespace ds::runtime;

const char *ds::runtime::bufferKind(const ds_artifact_buffer &B) {
  switch (B.kind) {
  case DS_BUFFER_INPUT:
    return "an input";
  case DS_BUFFER_OUTPUT:
    return "an output";
  case DS_BUFFER_WEIGHT:
    return "a weight";
  case DS_BUFFER_TEMPORARY:
    return "a temporary";
  default:
    return "a call's result";
  }
}

ds_status ds_session::createGuard(ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  Memory.use(guardedAllocator());
  void *Place = malloc(sizeof(SessionGuard));
  if (!Place)
    return outOfMemory(Error);
  Guard = new (Place) SessionGuard;
  Guard->Session = this;
  if (!Guard->Temporaries.resize(Meta.Buffers.size()) || !Guard->Weights.resize(Meta.Buffers.size()) ||
      !Guard->IsOver.resize(Meta.Buffers.size()) || !Guard->Scratch.resize(Workers.size()))
    return outOfMemory(Error);
  for (size_t I = 0; I < Meta.Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Meta.Buffers[I];
    if (B.kind != DS_BUFFER_WEIGHT || !B.length)
      continue;
    Region &R = Guard->Weights[I];
    if (!R.reserve(Memory, int64_t(B.length)))
      return outOfMemory(Error);
    memcpy(R.Data, Buffers[I], B.length);
    setAccess(R, Access::Read);
    Buffers[I] = R.Data;
  }
  watch(*Guard);
  return DS_OK;
}

void ds_session::destroyGuard() {
  if (!Guard)
    return;
  unwatch(*Guard);
  for (Array<Region> *All : {&Guard->Temporaries, &Guard->Weights, &Guard->Scratch})
    for (Region &R : *All)
      R.release(Memory);
  Guard->~SessionGuard();
  free(Guard);
}

ds_status ds_session::bindGuarded(const StageState &S, const Plan &P, ds_error *Error) {
  for (size_t I = 0; I < S.TemporaryBuffers.size(); ++I) {
    const uint32_t Buffer = S.TemporaryBuffers[I];
    Region &R = Guard->Temporaries[Buffer];
    R.release(Memory);
    if (!R.reserve(Memory, P.Temporaries[I].Size))
      return outOfMemory(Error);
    Buffers[Buffer] = R.Data ? R.Data : nothing();
    Guard->IsOver[Buffer] = false;
  }
  for (size_t I = 0; I < Workers.size(); ++I) {
    if (!Guard->Scratch[I].reserve(Memory, P.ScratchSize))
      return outOfMemory(Error);
    Workers[I].scratch = P.ScratchSize ? Guard->Scratch[I].Data : nothing();
  }
  return DS_OK;
}

/// What lies around the memory of buffers and scratch is as it was; otherwise says what is not.
static bool isIntact(const ds_session &S, SessionGuard &G) {
  const Metadata &Meta = S.Model->Meta;
  auto Check = [&](const Region &R, const char *What, size_t Number) {
    int64_t At;
    if (!findDamage(R, At))
      return true;
    G.IsDamaged = true;
    G.Damage.clear();
    G.Damage.append("%s %zu has %zu bytes, and byte %lld was written", What, Number, R.Size,
                    static_cast<long long>(At));
    return false;
  };
  for (size_t I = 0; I < Meta.Buffers.size(); ++I) {
    const ds_artifact_buffer &B = Meta.Buffers[I];
    if (B.kind == DS_BUFFER_TEMPORARY && !G.IsOver[I] && !Check(G.Temporaries[I], "temporary, buffer", I))
      return false;
    if (B.kind == DS_BUFFER_OUTPUT && S.OutputData[B.index] != S.nothing()) {
      const OutputMemory &O = S.Outputs[B.index];
      const Region &R = O.Places[O.Current];
      if (R.Data == S.OutputData[B.index] && !Check(R, "output", B.index))
        return false;
    }
  }
  for (size_t I = 0; I < G.Scratch.size(); ++I)
    if (!Check(G.Scratch[I], "scratch of thread", I))
      return false;
  return true;
}

int32_t ds_session::launchGuarded(ds_program_host *Host, int32_t Node, ds_kernel_fn Kernel,
                                  const ds_kernel_state *State, int64_t Range, int64_t Grain) {
  ds_session &S = *reinterpret_cast<ds_session *>(Host);
  SessionGuard &G = *S.Guard;
  const Metadata &Meta = S.Model->Meta;
  // Not before: the host may have read them since the launch that was their last.
  for (size_t I = 0; I < Meta.Buffers.size(); ++I)
    if (G.Temporaries[I].Data && !G.IsOver[I] && Meta.Buffers[I].last_launch < uint32_t(Node)) {
      setAccess(G.Temporaries[I], Access::None);
      G.IsOver[I] = true;
    }
  for (const Region &R : G.Scratch)
    poison(R);
  G.Running = Node;
  int32_t Result = (S.Profiling            ? launchProfiled
                    : S.Workers.size() > 1 ? launchParallel
                                           : launchSerial)(Host, Node, Kernel, State, Range, Grain);
  if (!Result && !isIntact(S, G)) {
    S.FailedLaunch = Node;
    Result = DS_KERNEL_BAD_VALUE;
  }
  G.Running = -1;
  return Result;
}
