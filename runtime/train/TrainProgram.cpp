//===- TrainProgram.cpp - The command line of programs that train ----------===//
// Guarantees: see Train.h. It is what a program refers to that has this library.
//===----------------------------------------------------------------------===//
#include "../src/Program.h"
#include "../src/TrainLibrary.h"
#include "Train.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>

namespace ds::runtime {

static int runTraining(int Argc, char **Argv, ds_model *Model) {
  TrainOptions O;
  ds_error Error = {};
  ds_status Status = O.parse(Argc, Argv, &Error);
  int StoppedBy = 0;
  signal(SIGPIPE, SIG_IGN); // who reads the lines may end; the run then ends with a checkpoint
  if (!Status) {
    TrainRun Run(O, Model);
    Status = Run.readStep(&Error);
    if (!Status && O.Help)
      printTrainUsage(O, Run.step());
    else if (!Status && O.Version)
      printVersion(Model);
    else if (!Status && O.Parameters)
      printParameters(Run.step());
    else if (!Status)
      Status = Run.run(&Error);
    StoppedBy = Run.stoppedBy();
    Run.finish();
  }
  ds_model_release(Model);
  if (!Status && (fflush(stdout) || ferror(stdout)))
    Status = fail(&Error, DS_IO_ERROR, "cannot write to standard output: %s", strerror(errno));
  if (Status) {
    fprintf(stderr, "%s: error: %s%s\n", O.Program, Error.message, Status == DS_BAD_ARGUMENT ? " (see --help)" : "");
    return Status == DS_BAD_ARGUMENT ? ExitBadUsage : ExitBadInput;
  }
  return StoppedBy ? 128 + StoppedBy : ExitGood;
}

} // namespace ds::runtime

extern "C" {
extern const ds::runtime::TrainLibrary ds_runtime_train;
const ds::runtime::TrainLibrary ds_runtime_train = {ds::runtime::runTraining};
}
