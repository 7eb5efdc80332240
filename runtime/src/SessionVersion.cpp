//===- SessionVersion.cpp - Inputs left out, and versions of a program ------===//
// Assumes: versions have the program's inputs, outputs and donations (Model.cpp checked it).
// Guarantees: the program and its versions have one arena. An optional input that a run leaves out is its default,
// without a copy. A run that fits a version is that
//   version's run, without a copy; outputs may feed runs of other versions.
// Declines: choosing anything but the first version that fits.
//===----------------------------------------------------------------------===//
#include "Session.h"

using namespace ds::runtime;

ds_status ds_session::createVersions(const ds_session_options &Options, ds_error *Error) {
  for (size_t I = 0; I < Model->Meta.Versions.size(); ++I) {
    ds_session *Version = nullptr;
    if (ds_status Status = create(Model->Bodies[Model->Meta.Versions[I].body], Options, this, Version, Error))
      return Status;
    if (!Versions.push(Version)) {
      ds_session_destroy(Version);
      return outOfMemory(Error);
    }
  }
  return DS_OK;
}

/// Temporaries do not outlive a run, and one version runs at a time.
void ds_session::passArena(ds_session &To) {
  ds_session &From = *ArenaHolder;
  ArenaHolder = &To;
  for (size_t I = 0; &From != &To && I < From.StageCount && I < To.StageCount; ++I) {
    Region &Has = From.Stages[I].Arena, &Gets = To.Stages[I].Arena;
    if (Has.Size <= Gets.Size)
      continue;
    Gets.release(To.Memory);
    Gets = From.Memory.handOver(Has);
    To.Memory.takeOver(Gets);
    From.Stages[I].Bound = To.Stages[I].Bound = nullptr;
  }
}

void ds_session::resolveDefaults(const ds_tensor *&Inputs, size_t InputCount) {
  const Array<ds_tensor> &Defaults = Model->Defaults;
  if (Defaults.empty() || InputCount != FedInputs.size() || !Inputs)
    return;
  for (size_t I = 0; I < InputCount; ++I) {
    LeftOut[I] = Defaults[I].dtype && !Inputs[I].dtype && !Inputs[I].data;
    if (Inputs != FedInputs.data())
      FedInputs[I] = Inputs[I];
    if (LeftOut[I])
      FedInputs[I] = Defaults[I];
  }
  Inputs = FedInputs.data();
}

ds_session *ds_session::findVersion() const {
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; I < Versions.size(); ++I) {
    const ds_artifact_version &V = Meta.Versions[I];
    bool Fits = true;
    for (uint64_t G = 0; G < V.guard_count; ++G) {
      const ds_artifact_guard &Guard = Meta.Guards[V.first_guard + G];
      Fits &= Guard.kind == DS_GUARD_LEFT_OUT ? LeftOut[Guard.subject] != 0 : Symbols[Guard.subject] == Guard.size;
    }
    if (Fits)
      return Versions[I];
  }
  return nullptr;
}

void ds_session::addFormer(size_t Output, const void *Data) {
  for (const FormerOutput &Known : FormerOutputs)
    if (Known.Output == Output && Known.Data == Data)
      return;
  if (Data)
    (void)FormerOutputs.push({Output, Data}); // without memory one fewer is recognized
}

/// The memory may be that of this session or of a version of it.
void ds_session::forgetOwn(ds_tensor *Given) const {
  for (size_t I = 0; Given && I < Outputs.size(); ++I) {
    bool Own = isOwn(I, Given[I]);
    for (const ds_session *Version : Versions)
      Own |= Version->isOwn(I, Given[I]);
    if (Own)
      Given[I].data = nullptr;
  }
}

ds_status ds_session::runVersion(ds_session &Version, const ds_tensor *Inputs, size_t InputCount, ds_tensor *Given,
                                 size_t OutputCount, ds_error *Error) {
  HasRun = false;
  giveVersion(Version);
  const ds_status Status = Version.run(Inputs, InputCount, Given, OutputCount, Error);
  IsFresh &= Version.IsFresh;
  HasBegun = Version.HasBegun;
  if (Status)
    return Status;
  int64_t *Shape = LastShapes.data();
  for (size_t I = 0; I < Outputs.size(); ++I) {
    LastOutputs[I] = Version.LastOutputs[I];
    if (LastOutputs[I].rank)
      memcpy(Shape, LastOutputs[I].shape, size_t(LastOutputs[I].rank) * sizeof *Shape);
    LastOutputs[I].shape = Shape;
    Shape += LastOutputs[I].rank;
  }
  for (size_t I = 0; I < States.size(); ++I)
    States[I].LastOutput = LastOutputs[Model->Meta.Donations[I].output].data;
  LastVersion = &Version;
  HasRun = true;
  return DS_OK;
}
