//===- Program.h - The command line of compiled programs --------*- C++ -*-===//
// Assumes: a model linked into the program, or the path of one as the first argument (ds-run).
// Guarantees: exit code 0, 1 for a bad model or input, 2 for bad usage; every failure is one line on standard error.
// Declines: reading anything but .npy and .npz.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_PROGRAM_H
#define DS_RUNTIME_PROGRAM_H

#include "Npy.h"
#include "ds_kernel.h"

namespace ds::runtime {

/// `Code` is that of the model in this program, or NULL: then the command line names an artifact, which `Load`
/// (ds_model_load, with what any model may need) loads.
int runProgram(int Argc, char **Argv, const ds_program_code *Code,
               ds_status (*Load)(const char *Path, ds_model **Model, ds_error *Error) = nullptr);

enum ExitCode { ExitGood = 0, ExitBadInput = 1, ExitBadUsage = 2 };

struct Arguments {
  const char *Program = ""; // for messages
  const char *Model = nullptr;
  Array<const char *> Inputs;  // "name=file"
  Array<const char *> Symbols; // "name=value"
  const char *InputsFile = nullptr;
  bool Random = false;
  const char *RandomSizes = nullptr; // "N=1,S=128"
  const char *OutputDir = nullptr;
  uint32_t Threads = 0, Benchmark = 0;
  int64_t Seed = 0;
  bool IsSeeded = false;
  bool Json = false, Profile = false, Verify = false, Guard = false, Help = false, Version = false;

  /// DS_BAD_ARGUMENT: bad usage.
  ds_status parse(int Argc, char **Argv, bool NeedsModel, ds_error *Error);
  /// Those of --symbol.
  ds_status giveSymbols(ds_session *Session, ds_error *Error) const;
};

/// The files given for a model's inputs, or what was made up for them.
class InputSet {
public:
  explicit InputSet(const ds_model *Model) : Model(Model), Count(ds_model_input_count(Model)) {}
  InputSet(const InputSet &) = delete;
  InputSet &operator=(const InputSet &) = delete;
  ~InputSet();

  ds_status gather(const Arguments &A, ds_session *Session, ds_error *Error);
  const ds_tensor *tensors() const { return Tensors.data(); }
  size_t size() const { return Count; }

private:
  const ds_model *Model;
  size_t Count;
  NpyArray *Arrays = nullptr;
  static constexpr unsigned char InArchive = 2;
  Array<unsigned char> Given; // whether Arrays holds the input, or made it up; and whether --inputs gave it
  Array<const char *> Files;  // of --input
  Array<ds_tensor> Tensors;

  size_t indexOf(const char *Name, size_t Length) const;
  ds_status assignFiles(const Arguments &A, ds_error *Error);
  static ds_status takeFromArchive(void *Self, const char *Name, NpyArray &Array, ds_error *Error);
  ds_status readSizes(const char *Sizes, Array<int64_t> &Symbols, ds_error *Error) const;
  ds_status makeUp(Array<int64_t> &Symbols, ds_session *Session, ds_error *Error);
  ds_status requireAll(ds_status Status, const char *Where, ds_error *Error) const;
  ds_status unknownInput(ds_status Status, const char *Name, size_t Length, ds_error *Error) const;
  void nameInputs(Text &Out) const;
};

/// Makes the folder and those above it.
ds_status makeFolder(const char *Path, ds_error *Error);

// Report.cpp
void printUsage(const Arguments &A, const ds_model *Model);
void printVersion(const ds_model *Model);
void printOutputs(const ds_session *Session, const ds_model *Model);
ds_status benchmark(const Arguments &A, ds_session *Session, const InputSet &Inputs, ds_error *Error);
ds_status profile(const Arguments &A, ds_session *Session, const InputSet &Inputs, ds_error *Error);

/// "float32 [N, 3, 224, 224]"
void appendType(Text &Out, const ds_tensor_info &Info);

double milliseconds();

/// Columns of the terminal that is printed to; 0: no terminal.
size_t terminalColumns();

/// "node 'a' (Conv), node 'b' (Relu)" as "a (Conv), b (Relu)".
void appendNodes(Text &Out, const char *Source);

/// Fills the tensor with values from a fixed sequence: floats in [0, 1), integers 0 and 1 (valid as tokens, masks and
/// types).
void fillRandom(const ds_tensor &Tensor, uint64_t Seed);

} // namespace ds::runtime

#endif
