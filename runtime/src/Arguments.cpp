//===- Arguments.cpp - Flags, and the inputs they name -----------------------===//
// Assumes: nothing about the arguments.
// Guarantees: a flag takes its value after '=' or as the next argument.
// Declines: abbreviations.
//===----------------------------------------------------------------------===//
#include "Flags.h"
#include "Program.h"
#include "Tensor.h"
#include <errno.h>
#include <initializer_list>
#include <new>

namespace ds::runtime {

const char *programName(int Argc, char **Argv) {
  const char *Slash = Argc ? strrchr(Argv[0], '/') : nullptr;
  return Slash ? Slash + 1 : Argc ? Argv[0] : "program";
}

bool parseNumber(const char *S, int64_t Max, int64_t &Out) {
  if (!*S)
    return false;
  for (Out = 0; *S; ++S)
    if (*S < '0' || *S > '9' || (Out = Out * 10 + (*S - '0')) > Max)
      return false;
  return true;
}

/// How many characters must be inserted, removed or replaced to turn one flag into the other (Levenshtein); flags of
/// more than 31 characters are unlike any.
size_t editsBetween(const char *A, const char *B) {
  constexpr size_t Most = 32;
  const size_t Length = strlen(B);
  if (strlen(A) >= Most || Length >= Most)
    return Most;
  size_t Row[Most];
  for (size_t J = 0; J <= Length; ++J)
    Row[J] = J;
  for (size_t I = 1; *A; ++A, ++I) {
    size_t Diagonal = Row[0];
    Row[0] = I;
    for (size_t J = 1; J <= Length; ++J) {
      const size_t Replaced = Diagonal + (*A != B[J - 1]);
      Diagonal = Row[J];
      const size_t Other = (Row[J] < Row[J - 1] ? Row[J] : Row[J - 1]) + 1;
      Row[J] = Replaced < Other ? Replaced : Other;
    }
  }
  return Row[Length];
}

ds_status Arguments::parse(int Argc, char **Argv, bool NeedsModel, ds_error *Error) {
  Program = programName(Argc, Argv);
  struct {
    const char *Name;
    bool *Is;
  } const Switches[] = {{"--json", &Json},       {"--profile", &Profile}, {"--verify", &Verify}, {"--guard", &Guard},
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
        if (*N.Out)
          return fail(Error, DS_BAD_ARGUMENT, "%s is given twice", N.Name);
        *N.Out = uint32_t(Number);
        Known = true;
      }
    if (R.is("--random")) {
      if (Random)
        return fail(Error, DS_BAD_ARGUMENT, "--random is given twice");
      Random = Known = true;
      RandomSizes = R.optionalSizes();
    }
    if (R.is("--seed")) {
      const char *Value = R.value();
      if (!Value || !parseNumber(Value, INT64_MAX, Seed))
        return fail(Error, DS_BAD_ARGUMENT, "--seed needs a number from 0 to %lld%s%s%s",
                    static_cast<long long>(INT64_MAX), Value ? ", not '" : "", Value ? Value : "", Value ? "'" : "");
      if (IsSeeded)
        return fail(Error, DS_BAD_ARGUMENT, "--seed is given twice");
      Known = IsSeeded = true;
    }
    for (const char *Flag : {"--input", "--inputs", "--output-dir", "--symbol"}) {
      if (!R.is(Flag))
        continue;
      const char *Value = R.value();
      if (!Value || !*Value)
        return fail(Error, DS_BAD_ARGUMENT, "%s needs a value", Flag);
      const char *&Single = !strcmp(Flag, "--inputs") ? InputsFile : OutputDir;
      Known = true;
      if (!strcmp(Flag, "--symbol")) {
        if (!Symbols.push(Value))
          return outOfMemory(Error);
      } else if (!strcmp(Flag, "--input")) {
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
    if (!Known) {
      NearestFlag Nearest(R.name());
      for (const auto &S : Switches)
        if (S.Name[1] == '-')
          Nearest.consider(S.Name);
      for (const auto &N : Numbers)
        Nearest.consider(N.Name);
      for (const char *Flag : {"--random", "--input", "--inputs", "--output-dir", "--seed"})
        Nearest.consider(Flag);
      return Nearest.fail(Error);
    }
  }
  if (Json && (!Benchmark || Profile))
    return fail(Error, DS_BAD_ARGUMENT, "--json is for the figures of --benchmark=N%s",
                Profile ? "; --profile has no such form" : ", which was not given");
  if (NeedsModel && !Model && !Help && !Version)
    return fail(Error, DS_BAD_ARGUMENT, "no model given");
  return DS_OK;
}

ds_status Arguments::giveSymbols(ds_session *Session, ds_error *Error) const {
  for (const char *Symbol : Symbols) {
    const char *Equals = strrchr(Symbol, '=');
    int64_t Value;
    if (!Equals || !parseNumber(Equals + 1, int64_t(1) << 40, Value))
      return fail(Error, DS_BAD_ARGUMENT, "--symbol needs NAME=VALUE, not '%s'", Symbol);
    Text Name;
    Name.append("%.*s", int(Equals - Symbol), Symbol);
    if (ds_status Status = ds_session_set_symbol(Session, Name.str(), Value, Error))
      return Status;
  }
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

size_t InputSet::indexOf(const char *Name, size_t Length) const {
  for (size_t I = 0; I < Count; ++I) {
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    if (strlen(Info.name) == Length && !strncmp(Info.name, Name, Length))
      return I;
  }
  return Count;
}

ds_status InputSet::unknownInput(ds_status Status, const char *Name, size_t Length, ds_error *Error) const {
  Text Names;
  nameInputs(Names);
  for (size_t I = 0; const char *Fixed = ds_model_fixed_input(Model, I); ++I)
    if (strlen(Fixed) == Length && !strncmp(Fixed, Name, Length))
      return fail(Error, Status,
                  "input '%s' is fixed in this program: it is an initializer of the model, too; compile the model with "
                  "--optional='%s' to give it, or to be told why it cannot be given",
                  Fixed, Fixed);
  return fail(Error, Status, "the model has no input '%.*s'; %s%s", int(Length), Name,
              Count ? "its inputs are: " : "it has none", Names.str());
}

ds_status InputSet::takeFromArchive(void *Self, const char *Name, NpyArray &Array, ds_error *Error) {
  InputSet &Set = *static_cast<InputSet *>(Self);
  const size_t I = Set.indexOf(Name, strlen(Name));
  if (I == Set.Count)
    return Set.unknownInput(DS_BAD_INPUT, Name, strlen(Name), Error);
  if (Set.Given[I])
    return fail(Error, DS_BAD_INPUT, "input '%s' is given twice: %s", Name,
                Set.Given[I] == InArchive ? "the file of --inputs has two arrays of that name"
                                          : "by --input and in the file of --inputs");
  Set.Given[I] = InArchive;
  Set.Arrays[I].take(Array);
  return DS_OK;
}

/// Which file goes to which input; the files are not read yet.
ds_status InputSet::assignFiles(const Arguments &A, ds_error *Error) {
  for (const char *Argument : A.Inputs) {
    // "name=file.npy", but the name may hold '=' itself: the longest that is an input's wins.
    const char *Equals = nullptr;
    size_t Index = Count;
    for (const char *C = strchr(Argument, '='); C; C = strchr(C + 1, '='))
      if (const size_t I = indexOf(Argument, size_t(C - Argument)); I < Count) {
        Index = I;
        Equals = C;
      }
    if (Index == Count)
      return unknownInput(DS_BAD_INPUT, Argument, strcspn(Argument, "="), Error);
    const int Length = int(Equals - Argument);
    if (!Equals[1])
      return fail(Error, DS_BAD_ARGUMENT, "--input %.*s= needs the name of a .npy file", Length, Argument);
    if (Files[Index])
      return fail(Error, DS_BAD_ARGUMENT, "input '%.*s' is given twice", Length, Argument);
    Files[Index] = Equals + 1;
  }
  return DS_OK;
}

/// "N=1,S=128" into Symbols; those not named stay -1.
ds_status InputSet::readSizes(const char *Sizes, Array<int64_t> &Symbols, ds_error *Error) const {
  if (!Symbols.resize(ds_model_symbol_count(Model)))
    return outOfMemory(Error);
  for (int64_t &S : Symbols)
    S = -1;
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
        if (Symbols[I] >= 0)
          return fail(Error, DS_BAD_ARGUMENT, "--random gives '%s' twice", Info.name);
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
      return fail(Error, DS_BAD_ARGUMENT, "the model has no dynamic dimension '%.*s'; %s%s", int(Equals - Item.str()),
                  Item.str(), Symbols.empty() ? "all its dimensions are fixed" : "it has: ", Names.str());
    }
  }
  return DS_OK;
}

ds_status InputSet::makeUp(Array<int64_t> &Symbols, ds_session *Session, ds_error *Error) {
  Array<ds_tensor> Shapes;
  if (!Shapes.resize(Count))
    return outOfMemory(Error);
  for (size_t I = 0; I < Symbols.size(); ++I) {
    ds_symbol_info Info;
    ds_model_symbol(Model, I, &Info);
    if (Info.input < 0)
      continue;
    const NpyArray &A = Arrays[Info.input];
    ds_tensor Default;
    if (Symbols[I] >= 0)
      continue;
    if (!Given[size_t(Info.input)] && !ds_model_input_default(Model, size_t(Info.input), &Default))
      Symbols[I] = Default.shape[Info.dimension];
    else if (Given[size_t(Info.input)] && size_t(Info.dimension) < A.Shape.size())
      Symbols[I] = A.Shape[size_t(Info.dimension)];
  }
  Text Missing;
  for (size_t I = 0; I < Symbols.size(); ++I) {
    ds_symbol_info Info;
    ds_tensor_info Input;
    ds_model_symbol(Model, I, &Info);
    ds_model_input(Model, size_t(Info.input), &Input);
    if (Symbols[I] < 0 && Info.input >= 0)
      Missing.append("%s%s (dimension %d of input '%s')", Missing.empty() ? "" : ", ", Info.name, Info.dimension,
                     Input.name);
  }
  if (!Missing.empty())
    return fail(Error, DS_BAD_ARGUMENT, "--random needs NAME=SIZE for %s", Missing.str());
  if (ds_status Status = ds_session_resolve(Session, Symbols.data(), Symbols.size(), Shapes.data(), nullptr, Error))
    return Status;
  for (size_t I = 0; I < Count; ++I) {
    if (Given[I] || ds_model_input_is_optional(Model, I))
      continue;
    NpyArray &A = Arrays[I];
    int64_t Bytes;
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    if (!A.Shape.resize(size_t(Shapes[I].rank)) ||
        !denseBytes(Shapes[I].shape, size_t(Shapes[I].rank), ds_dtype_size(Shapes[I].dtype), Bytes) ||
        !(A.Buffer = allocateFileBuffer(size_t(Bytes))))
      return fail(Error, DS_OUT_OF_MEMORY, "out of memory for input '%s'", Info.name);
    Given[I] = 1;
    for (size_t D = 0; D < A.Shape.size(); ++D)
      A.Shape[D] = Shapes[I].shape[D];
    A.Dtype = Shapes[I].dtype;
    A.Data = static_cast<char *>(A.Buffer);
    A.Bytes = size_t(Bytes);
    fillRandom(A.tensor(), I);
  }
  return DS_OK;
}

/// Fails with `Status` if an input is neither in a file of its own (`Files`) nor `Given`.
ds_status InputSet::requireAll(ds_status Status, const char *Where, ds_error *Error) const {
  Text Missing;
  size_t MissingCount = 0;
  for (size_t I = 0; I < Count; ++I) {
    if (Given[I] || Files[I] || ds_model_input_is_optional(Model, I))
      continue;
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    Missing.append("%s'%s' (", MissingCount++ ? ", " : "", Info.name);
    appendType(Missing, Info);
    Missing.append(")");
  }
  if (!MissingCount)
    return DS_OK;
  return fail(Error, Status, "the model needs input%s %s%s", MissingCount > 1 ? "s" : "", Missing.str(), Where);
}

ds_status InputSet::gather(const Arguments &A, ds_session *Session, ds_error *Error) {
  if (!Given.resize(Count) || !Files.resize(Count) || !Tensors.resize(Count) ||
      !(Arrays = static_cast<NpyArray *>(malloc((Count + 1) * sizeof(NpyArray)))))
    return outOfMemory(Error);
  for (size_t I = 0; I < Count; ++I)
    new (&Arrays[I]) NpyArray();
  // What the command line alone shows to be wrong is told before any file is read. Only where it gives no input at all
  // is that bad usage; too few, or one of another name, are bad input.
  Array<int64_t> Symbols;
  if (ds_status Status = assignFiles(A, Error))
    return Status;
  if (ds_status Status = readSizes(A.RandomSizes, Symbols, Error))
    return Status;
  if (!A.Random && !A.InputsFile)
    if (ds_status Status = requireAll(A.Inputs.empty() ? DS_BAD_ARGUMENT : DS_BAD_INPUT,
                                      ": give --input name=file.npy for each, --inputs file.npz, or --random to make "
                                      "them up",
                                      Error))
      return Status;
  for (size_t I = 0; I < Count; ++I) {
    if (!Files[I])
      continue;
    if (ds_status Status = readNpy(Files[I], Arrays[I], Error))
      return Status;
    Given[I] = 1;
  }
  if (A.InputsFile)
    if (ds_status Status = readNpz(A.InputsFile, takeFromArchive, this, Error))
      return Status;
  if (A.Random) {
    if (ds_status Status = makeUp(Symbols, Session, Error))
      return Status;
  } else {
    Text Where;
    Where.append(", which '%s' does not hold; give the rest by --input name=file.npy or --random",
                 A.InputsFile ? A.InputsFile : "");
    if (ds_status Status = requireAll(DS_BAD_INPUT, Where.str(), Error))
      return Status;
  }
  for (size_t I = 0; I < Count; ++I) {
    if (!Given[I] && ds_model_input_is_optional(Model, I)) {
      Tensors[I] = {};
      continue;
    }
    Tensors[I] = Arrays[I].tensor();
    // A file says of types of a byte or less only that they are such.
    ds_tensor_info Info;
    ds_model_input(Model, I, &Info);
    if (Tensors[I].dtype == DS_INT2 && Info.dtype > DS_INT2)
      Tensors[I].dtype = Info.dtype;
  }
  return DS_OK;
}

} // namespace ds::runtime
