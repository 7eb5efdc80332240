//===- Checkpoint.h - The state of a training run, in files -----*- C++ -*-===//
// Assumes: one program at a time writes to a folder; the folder is locked for that.
// Guarantees: a checkpoint is whole or not there, whenever the program is ended (AtomicFile.h). Before anything of one
//   is used, its form, every length and offset, and a checksum of all its bytes are looked at.
// Declines: files of safetensors that no training program wrote: they do not say at which step they are.
//
// A checkpoint is checkpoint-<step, 9 digits or more>.safetensors: every parameter, other state of the model and state
// of the optimizer under its input's name, and in __metadata__ (all of it text):
//   format "ds-checkpoint", format_version "1", hash: XXH64 of the file with these 16 digits as zeros,
//   step: how many were made; epoch (from 0), sample: where in it the next batch begins, samples: of an epoch;
//   seed; loss, optimizer: those of the program, for messages
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_CHECKPOINT_H
#define DS_RUNTIME_CHECKPOINT_H

#include "../src/Npy.h"
#include "Safetensors.h"
#include "TrainStep.h"

namespace ds::runtime {

/// How far a run is.
struct Progress {
  uint64_t Steps = 0;             // made
  uint64_t Epoch = 0, Sample = 0; // of the next batch
  uint64_t Samples = 0;           // of an epoch; 0: not known
  uint64_t Seed = 0;
};

/// A checkpoint that was read and found whole.
class Checkpoint {
public:
  ds_status open(const char *Path, ds_error *Error);
  const Progress &progress() const { return At; }
  const char *path() const { return Name.str(); }
  /// Gives the session all its states, or none of them and a line that says how the checkpoint differs.
  ds_status load(const TrainStep &Step, ds_session *Session, ds_error *Error) const;

private:
  Text Name;
  FileMap Bytes;
  Safetensors File;
  Progress At;

  void describe(Text &Out, const Safetensors::Tensor &T) const;
};

/// The newest whole one of a folder, or the file. `Warn` hears of those that are not.
ds_status findCheckpoint(const char *Path, Checkpoint &Out, void (*Warn)(const char *Message), ds_error *Error);

/// Where a run's checkpoints are written. The last two are kept.
class CheckpointFolder {
public:
  /// Makes the folder. `From` is the step that the run begins after: whole checkpoints of later ones are not
  /// overwritten, but refused.
  ds_status open(const char *Path, uint64_t From, ds_error *Error);
  bool isOpen() const { return Lock.isOpen(); }
  /// Nothing is written where a parameter is not a finite number.
  ds_status save(const TrainStep &Step, const ds_session *Session, const Progress &At, ds_error *Error);
  /// The last one saved.
  const char *last() const { return Last.str(); }

private:
  const char *Path = "";
  Text Last;
  File Lock;
};

/// DS_BAD_INPUT where a state holds what cannot be a parameter: NaN, or of parameters an infinity.
ds_status checkStates(const TrainStep &Step, const ds_session *Session, uint64_t StepNumber, ds_error *Error);

} // namespace ds::runtime

#endif
