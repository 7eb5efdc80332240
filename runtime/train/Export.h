//===- Export.h - What a training run leaves to others ----------*- C++ -*-===//
// Assumes: a session with all its states.
// Guarantees: a file appears whole or not at all.
// Declines: ONNX files of 2 GiB and more, which need data outside of them.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_EXPORT_H
#define DS_RUNTIME_EXPORT_H

#include "TrainStep.h"

namespace ds::runtime {

/// DS_UNSUPPORTED where the program was compiled without a model to export.
ds_status checkExport(const TrainStep &Step, ds_error *Error);

/// The source model with the session's parameters as an ONNX file.
ds_status writeOnnx(const char *Path, const TrainStep &Step, const ds_session *Session, ds_error *Error);

/// The gradients that the last run made, as a .npz file (stored) with an array for each, under the output's name.
ds_status writeGradients(const char *Path, const TrainStep &Step, const ds_session *Session, ds_error *Error);

/// The same of any tensors.
ds_status writeNpz(const char *Path, const char *const *Names, const ds_tensor *Tensors, size_t Count, ds_error *Error);

} // namespace ds::runtime

#endif
