//===- Arguments.cpp - Flags, and the inputs they name -----------------------===//
// Assumes: nothing about the arguments.
// Guarantees: a flag takes its value after '=' or as the next argument.
// Declines: abbreviations.
//===----------------------------------------------------------------------===//
#include "Program.h"
#include "Tensor.h"
#include <errno.h>
#include <initializer_list>
#include <new>

namespace ds::runtime {

namespace {

/// Walks over the arguments and takes flags apart.
class ArgumentReader {
public:
  ArgumentReader(int Argc, char **Argv) : Argc(Argc), Argv(Argv) {}

  bool next() {
    if (++At >= Argc)
      return false;
    Inline = nullptr;
    Name.clear();
    const char *Equals = isFlag() ? strchr(Argv[At], '=') : nullptr;
    if (Equals)
      Inline = Equals + 1;
    Name.append("%.*s", int(Equals ? Equals - Argv[At] : long(strlen(Argv[At]))), Argv[At]);
    return true;
  }
  bool isFlag() const { return Argv[At][0] == '-' && Argv[At][1]; }
  bool is(const char *Flag) const { return !strcmp(Name.str(), Flag); }
  const char *name() const { return Name.str(); }
  const char *argument() const { return Argv[At]; }
  const char *inlineValue() const { return Inline; }
  const char *value() { return Inline ? Inline : At + 1 < Argc ? Argv[++At] : nullptr; }
  /// The next argument, if it looks like NAME=SIZE.
  const char *optionalSizes() {
    if (Inline)
      return Inline;
    return At + 1 < Argc && Argv[At + 1][0] != '-' && strchr(Argv[At + 1], '=') ? Argv[++At] : nullptr;
  }

private:
  int Argc, At = 0;
  char **Argv;
  Text Name;
  const char *Inline = nullptr;
};

bool parseNumber(const char *S, int64_t Max, int64_t &Out) {
  if (!*S)
    return false;
  for (Out = 0; *S; ++S)
    if (*S < '0' || *S > '9' || (Out = Out * 10 + (*S - '0')) > Max)
      return false;
  return true;
}

} // namespace

ds_status Arguments::parse(int Argc, char **Argv, bool NeedsModel, ds_error *Error) {
  const char *Slash = Argc ? strrchr(Argv[0], '/') : nullptr;
  Program = Slash ? Slash + 1 : Argc ? Argv[0] : "program";
  struct {
    const char *Name;
    bool *Is;
  } const Switches[] = {{"--json", &Json},       {"--profile", &Profile}, {"--verify", &Verify},
                        {"--version", &Version}, {"--help", &Help},       {"-h", &Help}};
  struct {
    const char *Name;
    uint32_t *Out;
    int64_t Max;
  } const Numbers[] = {{"--threads", &Threads, 1024}, {"--benchmark", &Benchmark, 100000000}};

  for (ArgumentReader R(Argc, Argv); R.next();) {
    if (!R.isFlag()) {
      if (!NeedsModel || Model)
        return fail(Error, DS_BAD_ARGUMENT, "unexpected argument '%s'", R.name());
      Model = R.argument();
      continue;
    }
    bool Known = false;
    for (const auto &S : Switches)
      if (R.is(S.Name)) {
        if (R.inlineValue())
          return fail(Error, DS_BAD_ARGUMENT, "%s takes no value", S.Name);
        Known = *S.Is = true;
      }
    for (const auto &N : Numbers)
      if (R.is(N.Name)) {
        const char *Value = R.value();
        int64_t Number;
        if (!Value || !parseNumber(Value, N.Max, Number) || Number == 0)
          return fail(Error, DS_BAD_ARGUMENT, "%s needs a number from 1 to %lld%s%s%s", N.Name,
                      static_cast<long long>(N.Max), Value ? ", not '" : "", Value ? Value : "", Value ? "'" : "");
        *N.Out = uint32_t(Number);
        Known = true;
      }
    if (R.is("--random")) {
      if (Random)
        return fail(Error, DS_BAD_ARGUMENT, "--random is given twice");
      Random = Known = true;
      RandomSizes = R.optionalSizes();
    }
    for (const char *Flag : {"--input", "--inputs", "--output-dir"}) {
      if (!R.is(Flag))
        continue;
      const char *Value = R.value();
      if (!Value || !*Value)
        return fail(Error, DS_BAD_ARGUMENT, "%s needs a value", Flag);
      const char *&Single = !strcmp(Flag, "--inputs") ? InputsFile : OutputDir;
      Known = true;
      if (!strcmp(Flag, "--input")) {
        if (!strchr(Value, '='))
          return fail(Error, DS_BAD_ARGUMENT, "--input needs name=file.npy, not '%s'", Value);
        if (!Inputs.push(Value))
          return outOfMemory(Error);
      } else if (Single) {
        return fail(Error, DS_BAD_ARGUMENT, "%s is given twice", Flag);
      } else {
        Single = Value;
      }
    }
    if (!Known)
      return fail(Error, DS_BAD_ARGUMENT, "unknown flag '%s'", R.name());
  }
  if (Json && !Benchmark)
    return fail(Error, DS_BAD_ARGUMENT, "--json goes with --benchmark=N");
  if (NeedsModel && !Model && !Help && !Version)
    return fail(Error, DS_BAD_ARGUMENT, "no model given");
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

InputSet::~InputSet() {
  for (size_t I = 0; Arrays && I < Count; ++I)
    Arrays[I].~NpyArray();
  free(Arrays);
}

void InputSet::nameInputs(Text &Out) const {
  for (size_t I = 0; I < Count; ++I) {
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    Out.append("%s%s ", I ? ", " : "", Info.name);
    appendType(Out, Info);
  }
}

ds_status InputSet::takeFromArchive(void *Self, const char *Name, NpyArray &Array, ds_error *Error) {
  InputSet &Set = *static_cast<InputSet *>(Self);
  for (size_t I = 0; I < Set.Count; ++I) {
    ds_tensor_info Info;
    ds_model_input(Set.Model, I, &Info);
    if (strcmp(Info.name, Name))
      continue;
    if (Set.Given[I])
      return fail(Error, DS_BAD_INPUT, "input '%s' is given twice", Name);
    Set.Given[I] = 1;
    Set.Arrays[I].take(Array);
    return DS_OK;
  }
  Text Names;
  Set.nameInputs(Names);
  return fail(Error, DS_BAD_INPUT, "the model has no input '%s'; its inputs are: %s", Name, Names.str());
}

/// "name=file.npy"; the name may hold '=' itself.
ds_status InputSet::takeFile(const char *Argument, ds_error *Error) {
  const char *Equals = strchr(Argument, '=');
  for (size_t I = 0; I < Count; ++I) {
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    const size_t Length = strlen(Info.name);
    if (!strncmp(Argument, Info.name, Length) && Argument[Length] == '=')
      Equals = Argument + Length;
  }
  Text Name;
  Name.append("%.*s", int(Equals - Argument), Argument);
  NpyArray Array;
  if (ds_status Status = readNpy(Equals + 1, Array, Error))
    return Status;
  return takeFromArchive(this, Name.str(), Array, Error);
}

/// "N=1,S=128" into Symbols; those not named keep their value.
ds_status InputSet::readSizes(const char *Sizes, Array<int64_t> &Symbols, ds_error *Error) const {
  while (Sizes && *Sizes) {
    const size_t Length = strcspn(Sizes, ",");
    Text Item;
    Item.append("%.*s", int(Length), Sizes);
    Sizes += Length + (Sizes[Length] == ',');
    const char *Equals = strrchr(Item.str(), '=');
    int64_t Value;
    if (!Equals || !parseNumber(Equals + 1, int64_t(1) << 40, Value))
      return fail(Error, DS_BAD_ARGUMENT, "--random needs NAME=SIZE,..., not '%s'", Item.str());
    bool Found = false;
    for (size_t I = 0; I < Symbols.size(); ++I) {
      ds_symbol_info Info;
      ds_model_symbol(Model, I, &Info);
      if (strlen(Info.name) == size_t(Equals - Item.str()) && !strncmp(Info.name, Item.str(), strlen(Info.name))) {
        Symbols[I] = Value;
        Found = true;
      }
    }
    if (!Found) {
      Text Names;
      for (size_t I = 0; I < Symbols.size(); ++I) {
        ds_symbol_info Info;
        ds_model_symbol(Model, I, &Info);
        Names.append("%s%s", I ? ", " : "", Info.name);
      }
      return fail(Error, DS_BAD_INPUT, "the model has no dynamic dimension '%.*s'; %s%s", int(Equals - Item.str()),
                  Item.str(), Symbols.empty() ? "all its dimensions are fixed" : "it has: ", Names.str());
    }
  }
  return DS_OK;
}

ds_status InputSet::makeUp(const char *Sizes, ds_session *Session, ds_error *Error) {
  Array<int64_t> Symbols;
  Array<ds_tensor> Shapes;
  if (!Symbols.resize(ds_model_symbol_count(Model)) || !Shapes.resize(Count))
    return outOfMemory(Error);
  for (int64_t &S : Symbols)
    S = -1;
  for (size_t I = 0; I < Symbols.size(); ++I) {
    ds_symbol_info Info;
    ds_model_symbol(Model, I, &Info);
    const NpyArray &A = Arrays[Info.input];
    if (Given[size_t(Info.input)] && size_t(Info.dimension) < A.Shape.size())
      Symbols[I] = A.Shape[size_t(Info.dimension)];
  }
  if (ds_status Status = readSizes(Sizes, Symbols, Error))
    return Status;
  Text Missing;
  for (size_t I = 0; I < Symbols.size(); ++I) {
    ds_symbol_info Info;
    ds_tensor_info Input;
    ds_model_symbol(Model, I, &Info);
    ds_model_input(Model, size_t(Info.input), &Input);
    if (Symbols[I] < 0)
      Missing.append("%s%s (dimension %d of input '%s')", Missing.empty() ? "" : ", ", Info.name, Info.dimension,
                     Input.name);
  }
  if (!Missing.empty())
    return fail(Error, DS_BAD_INPUT, "--random needs a size for %s", Missing.str());
  if (ds_status Status = ds_session_resolve(Session, Symbols.data(), Symbols.size(), Shapes.data(), nullptr, Error))
    return Status;
  for (size_t I = 0; I < Count; ++I) {
    if (Given[I])
      continue;
    NpyArray &A = Arrays[I];
    int64_t Bytes;
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    if (!A.Shape.resize(size_t(Shapes[I].rank)) ||
        !denseBytes(Shapes[I].shape, size_t(Shapes[I].rank), ds_dtype_size(Shapes[I].dtype), Bytes) ||
        !(A.Buffer = allocateFileBuffer(size_t(Bytes))))
      return fail(Error, DS_OUT_OF_MEMORY, "out of memory for input '%s'", Info.name);
    for (size_t D = 0; D < A.Shape.size(); ++D)
      A.Shape[D] = Shapes[I].shape[D];
    A.Dtype = Shapes[I].dtype;
    A.Data = static_cast<char *>(A.Buffer);
    A.Bytes = size_t(Bytes);
    fillRandom(A.tensor(), I);
  }
  return DS_OK;
}

ds_status InputSet::gather(const Arguments &A, ds_session *Session, ds_error *Error) {
  if (!Given.resize(Count) || !Tensors.resize(Count) ||
      !(Arrays = static_cast<NpyArray *>(malloc((Count + 1) * sizeof(NpyArray)))))
    return outOfMemory(Error);
  for (size_t I = 0; I < Count; ++I)
    new (&Arrays[I]) NpyArray();
  for (const char *Argument : A.Inputs)
    if (ds_status Status = takeFile(Argument, Error))
      return Status;
  if (A.InputsFile)
    if (ds_status Status = readNpz(A.InputsFile, takeFromArchive, this, Error))
      return Status;
  if (A.Random) {
    if (ds_status Status = makeUp(A.RandomSizes, Session, Error))
      return Status;
  } else {
    Text Missing;
    size_t MissingCount = 0;
    for (size_t I = 0; I < Count; ++I) {
      if (Given[I])
        continue;
      ds_tensor_info Info;
      ds_model_input(Model, I, &Info);
      Missing.append("%s'%s' (", MissingCount++ ? ", " : "", Info.name);
      appendType(Missing, Info);
      Missing.append(")");
    }
    if (MissingCount && MissingCount == Count && A.Inputs.empty() && !A.InputsFile)
      return fail(Error, DS_BAD_ARGUMENT,
                  "the model needs input%s %s: give --input name=file.npy for each, --inputs file.npz, or --random to "
                  "make them up",
                  Count > 1 ? "s" : "", Missing.str());
    if (MissingCount)
      return fail(Error, DS_BAD_INPUT, "input%s %s %s missing", MissingCount > 1 ? "s" : "", Missing.str(),
                  MissingCount > 1 ? "are" : "is");
  }
  for (size_t I = 0; I < Count; ++I)
    Tensors[I] = Arrays[I].tensor();
  return DS_OK;
}

} // namespace ds::runtime
