//===- Program.cpp - From the command line to output files -------------------===//
// Assumes: see Program.h.
// Guarantees: an output file appears whole or not at all.
// Declines: anything that a flag did not ask for.
//===----------------------------------------------------------------------===//
#include "Program.h"
#include "Tensor.h"
#include "TrainLibrary.h"
#include <errno.h>
#include <fcntl.h>
#include <new>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

extern "C" [[gnu::weak]] const ds::runtime::TrainLibrary ds_runtime_train;

namespace ds::runtime {

ds_status makeFolder(const char *Path, ds_error *Error) {
  Text Copy(Path);
  if (!Copy.ok())
    return outOfMemory(Error);
  char *P = const_cast<char *>(Copy.str());
  for (char *C = P + 1;; ++C) {
    if (*C && *C != '/')
      continue;
    const char Old = *C;
    *C = 0;
    const bool Failed = mkdir(P, 0777) && errno != EEXIST;
    const int Number = errno;
    struct stat Info;
    if (Failed || (!Old && (stat(P, &Info) || !S_ISDIR(Info.st_mode))))
      return fail(Error, DS_IO_ERROR, "cannot make the folder '%s': %s", Path, strerror(Failed ? Number : ENOTDIR));
    *C = Old;
    if (!Old)
      return DS_OK;
  }
}

/// A name for the output's file that no output before it has, case included (some file systems do not tell case apart).
static void chooseFileName(const char *Name, const Array<Text *> &Taken, Text &Out) {
  // Leaves room for a number, the suffixes and the temporary name within 255 bytes.
  char Base[201];
  size_t Length = 0;
  for (; Name[Length] && Length < sizeof Base - 1; ++Length) {
    const char C = Name[Length];
    const bool IsKept =
        (C >= 'a' && C <= 'z') || (C >= 'A' && C <= 'Z') || (C >= '0' && C <= '9') || C == '_' || C == '.' || C == '-';
    Base[Length] = IsKept ? C : '_';
  }
  Base[Length] = 0;
  for (unsigned Number = 1;; ++Number) {
    Out.clear();
    Out.append("%s", *Base ? Base : "_");
    if (Number > 1)
      Out.append("_%u", Number);
    Out.append(".npy");
    bool IsFree = true;
    for (const Text *T : Taken)
      IsFree = IsFree && strcasecmp(T->str(), Out.str());
    if (IsFree)
      return;
  }
}

static ds_status writeOutputs(const char *Folder, const ds_session *Session, const ds_model *Model, ds_error *Error) {
  if (ds_status Status = makeFolder(Folder, Error))
    return Status;
  const size_t Count = ds_model_output_count(Model);
  Text *Names = static_cast<Text *>(calloc(Count + 1, sizeof(Text)));
  if (!Names)
    return outOfMemory(Error);
  for (size_t I = 0; I < Count; ++I)
    new (&Names[I]) Text;
  Array<Text *> Taken;
  ds_status Status = DS_OK;
  for (size_t I = 0; I < Count && !Status; ++I) {
    ds_tensor_info Info;
    ds_tensor Tensor;
    Text Path;
    ds_model_output(Model, I, &Info);
    ds_session_output(Session, I, &Tensor);
    chooseFileName(Info.name, Taken, Names[I]);
    Path.append("%s/%s", Folder, Names[I].str());
    if (!Taken.push(&Names[I]) || !Path.ok() || !Names[I].ok())
      Status = outOfMemory(Error);
    else
      Status = writeNpy(Path.str(), Tensor, Error);
  }
  for (size_t I = 0; I < Count; ++I)
    Names[I].~Text();
  free(Names);
  return Status;
}

static ds_status runModel(const Arguments &A, ds_model *Model, ds_error *Error) {
  if (A.Verify) {
    if (ds_status Status = ds_model_verify(Model, Error))
      return Status;
    if (!A.Random && A.Inputs.empty() && !A.InputsFile) {
      printf("the weights are sound\n");
      return DS_OK;
    }
  }
  ds_session_options Options = {};
  Options.threads = A.Threads;
  Options.flags = A.Guard ? DS_SESSION_GUARD : 0;
  ds_session *Session = nullptr;
  if (ds_status Status = ds_session_create(Model, &Options, &Session, Error))
    return Status;
  ds_status Status;
  {
    InputSet Inputs(Model);
    Status = A.giveSymbols(Session, Error);
    if (!Status && A.IsSeeded)
      Status = ds_session_seed(Session, A.Seed, Error);
    if (!Status)
      Status = Inputs.gather(A, Session, Error);
    if (!Status && A.Profile)
      Status = profile(A, Session, Inputs, Error);
    else if (!Status && A.Benchmark)
      Status = benchmark(A, Session, Inputs, Error);
    else if (!Status)
      Status = ds_session_run(Session, Inputs.tensors(), Inputs.size(), nullptr, 0, Error);
    if (!Status && A.OutputDir)
      Status = writeOutputs(A.OutputDir, Session, Model, Error);
    else if (!Status && !A.Profile && !A.Benchmark)
      printOutputs(Session, Model);
  }
  ds_session_destroy(Session);
  return Status;
}

int runProgram(int Argc, char **Argv, const ds_program_code *Code,
               ds_status (*Load)(const char *, ds_model **, ds_error *)) {
  // A file that got the number of a closed standard output would be written to. Writing to this one fails.
  for (int Standard = 0; Standard <= 2; ++Standard)
    if (fcntl(Standard, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
      break;
  signal(SIGXFSZ, SIG_IGN); // a file that gets too large is an error with a message, and nothing of it stays
  Arguments A;
  ds_error Error = {};
  ds_model *Model = nullptr;
  ds_status Status = DS_OK;
  // A program that trains has other flags.
  if (Code && &ds_runtime_train)
    Status = ds_model_load_self(Code, &Model, &Error);
  if (Model && ds_model_property(Model, TrainProperty))
    return ds_runtime_train.Run(Argc, Argv, Model);
  if (const ds_status Parsed = A.parse(Argc, Argv, !Code, Status ? nullptr : &Error); !Status)
    Status = Parsed;
  const bool NeedsModel = Code || A.Model;
  if (!Status && NeedsModel && !Model) {
    Status = Code ? ds_model_load_self(Code, &Model, &Error) : Load(A.Model, &Model, &Error);
    if (Status == DS_BAD_ARGUMENT)
      Status = DS_BAD_INPUT;
  }
  if (!Status && A.Help)
    printUsage(A, Model);
  else if (!Status && A.Version)
    printVersion(Model);
  else if (!Status)
    Status = runModel(A, Model, &Error);
  ds_model_release(Model);
  if (!Status && (fflush(stdout) || ferror(stdout)))
    Status = fail(&Error, DS_IO_ERROR, "cannot write to standard output: %s", strerror(errno));
  if (!Status)
    return ExitGood;
  fprintf(stderr, "%s: error: %s%s\n", A.Program, Error.message, Status == DS_BAD_ARGUMENT ? " (see --help)" : "");
  return Status == DS_BAD_ARGUMENT ? ExitBadUsage : ExitBadInput;
}

} // namespace ds::runtime
