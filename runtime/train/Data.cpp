//===- Data.cpp - What is trained on ---------------------------------------===//
// Guarantees: see Data.h.
//===----------------------------------------------------------------------===//
#include "Data.h"
#include "../src/Program.h"
#include "../src/Tensor.h"
#include <dirent.h>
#include <errno.h>
#include <new>
#include <sys/stat.h>

namespace ds::runtime {

DataSet::~DataSet() {
  for (Column &C : Columns)
    free(C.Batch);
  for (size_t I = 0; Arrays && I < Columns.size(); ++I)
    Arrays[I].~NpyArray();
  for (size_t I = 0; Maps && I < MapCount; ++I)
    Maps[I].~FileMap();
  free(Arrays);
  free(Maps);
}

ds_status DataSet::begin(const char *Given, const TrainStep &Of, size_t Count, ds_error *Error) {
  Step = &Of;
  Path = Given;
  if (!Columns.resize(Of.Data.size()) ||
      !(Arrays = static_cast<NpyArray *>(malloc((Columns.size() + 1) * sizeof(NpyArray)))) ||
      !(Maps = static_cast<FileMap *>(malloc(Count * sizeof(FileMap)))))
    return outOfMemory(Error);
  size_t Dimensions = 0;
  for (size_t I = 0; I < Columns.size(); ++I) {
    new (&Arrays[I]) NpyArray;
    const ds_tensor_info Info = Of.input(Of.Data[I]);
    Columns[I].Input = Of.Data[I];
    Columns[I].IsSampled = Of.IsSampled[I];
    Columns[I].To = Info.dtype;
    Columns[I].Rank = size_t(Info.rank);
    Columns[I].FirstDimension = Dimensions;
    Dimensions += size_t(Info.rank);
  }
  for (; MapCount < Count; ++MapCount)
    new (&Maps[MapCount]) FileMap;
  return Shapes.resize(Dimensions) ? DS_OK : outOfMemory(Error);
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

bool DataSet::wants(void *Self, const char *Name) {
  DataSet &Set = *static_cast<DataSet *>(Self);
  Set.Names.append("%s'%s'", Set.Names.empty() ? "" : ", ", Name);
  for (const Column &C : Set.Columns)
    if (!strcmp(Set.Step->inputName(C.Input), Name))
      return true;
  return false;
}

ds_status DataSet::take(void *Self, const char *Name, NpyArray &Array, ds_error *Error) {
  DataSet &Set = *static_cast<DataSet *>(Self);
  for (size_t I = 0; I < Set.Columns.size(); ++I) {
    Column &C = Set.Columns[I];
    if (strcmp(Set.Step->inputName(C.Input), Name))
      continue;
    if (C.IsGiven)
      return fail(Error, DS_BAD_INPUT, "'%s' has two arrays '%s'", Set.Path, Name);
    C.IsGiven = true;
    Set.Arrays[I].take(Array);
  }
  return DS_OK;
}

ds_status DataSet::openFolder(ds_error *Error) {
  DIR *Folder = opendir(Path);
  if (!Folder)
    return fail(Error, DS_IO_ERROR, "cannot open the folder '%s': %s", Path, strerror(errno));
  while (const dirent *Entry = readdir(Folder))
    if (const size_t Length = strlen(Entry->d_name); Length > 4 && !strcmp(Entry->d_name + Length - 4, ".npy"))
      Names.append("%s'%s'", Names.empty() ? "" : ", ", Entry->d_name);
  closedir(Folder);
  for (size_t I = 0; I < Columns.size(); ++I) {
    Text Name;
    Name.append("%s/", Path);
    for (const char *C = Step->inputName(Columns[I].Input); *C; ++C)
      Name.append("%c", *C == '/' ? '_' : *C); // no file has that in its name
    Name.append(".npy");
    struct stat Info;
    if (stat(Name.str(), &Info) && errno == ENOENT)
      continue;
    if (ds_status Status = Maps[I].open(Name.str(), "a .npy file", Error))
      return Status;
    if (ds_status Status = borrowNpy(Maps[I].data(), Maps[I].size(), Name.str(), Arrays[I], Error))
      return Status;
    Columns[I].IsGiven = true;
  }
  return DS_OK;
}

ds_status DataSet::checkColumn(Column &C, const NpyArray &A, ds_error *Error) {
  const ds_tensor_info Info = Step->input(C.Input);
  Text Wanted, Shape;
  appendType(Wanted, Info);
  appendShape(Shape, A.Shape.data(), A.Shape.size());
  auto Refuse = [&](const char *Why) {
    return fail(Error, DS_BAD_INPUT, "array '%s' of '%s' is %s %s, the model takes %s%s%s", Info.name, Path,
                ds_dtype_name(A.Dtype), Shape.str(), Wanted.str(), *Why ? ": " : "", Why);
  };
  C.From = A.Dtype;
  // A file says of types of a byte or less only that they are such.
  if (A.Dtype == DS_INT2 && Info.dtype > DS_INT2)
    C.From = Info.dtype;
  Text Why;
  if (C.To == DS_STRING || C.From == DS_STRING)
    return Refuse("strings cannot be trained on; number them");
  if (!canConvert(C.From, C.To)) {
    Why.append("convert it with .astype('%s')", ds_dtype_name(C.To));
    return Refuse(Why.str());
  }
  if (A.Shape.size() != C.Rank) {
    Why.append("it should have %zu dimension%s%s", C.Rank, C.Rank == 1 ? "" : "s",
               C.IsSampled ? ", the samples first" : "");
    return Refuse(Why.str());
  }
  C.RowElements = 1;
  for (size_t D = 0; D < C.Rank; ++D) {
    Shapes[C.FirstDimension + D] = A.Shape[D];
    if (D == 0 && C.IsSampled)
      continue;
    C.RowElements *= size_t(A.Shape[D]); // the array's size was checked
    if (Info.dimensions[D].size >= 0 && Info.dimensions[D].size != A.Shape[D]) {
      Why.append("dimension %zu should be %lld", D, static_cast<long long>(Info.dimensions[D].size));
      return Refuse(Why.str());
    }
  }
  C.Data = A.Data;
  C.Stride = C.RowElements * ds_dtype_size(C.From);
  return DS_OK;
}

ds_status DataSet::check(const char *Where, ds_error *Error) {
  Text Missing;
  size_t MissingCount = 0;
  const char *First = nullptr;
  for (size_t I = 0; I < Columns.size(); ++I) {
    Column &C = Columns[I];
    const char *Name = Step->inputName(C.Input);
    if (!C.IsGiven && ds_model_input_is_optional(Step->Model, C.Input))
      continue;
    if (!C.IsGiven) {
      Missing.append("%s'%s' (", MissingCount++ ? ", " : "", Name);
      appendType(Missing, Step->input(C.Input));
      Missing.append(")");
      continue;
    }
    if (ds_status Status = checkColumn(C, Arrays[I], Error))
      return Status;
    if (!C.IsSampled)
      continue;
    const uint64_t Length = uint64_t(Arrays[I].Shape[0]);
    if (First && Length != Samples)
      return fail(Error, DS_BAD_INPUT,
                  "array '%s' of '%s' has %llu samples, but '%s' has %llu; the first dimension of each counts the "
                  "samples",
                  Name, Path, static_cast<unsigned long long>(Length), First, static_cast<unsigned long long>(Samples));
    First = Name;
    Samples = Length;
  }
  if (MissingCount)
    return fail(Error, DS_BAD_INPUT, "'%s' lacks %s; %s%s%s", Path, Missing.str(), Where,
                Names.empty() ? "nothing" : "", Names.str());
  if (Samples == 0)
    return fail(Error, DS_BAD_INPUT, "'%s' has no samples", Path);
  return DS_OK;
}

ds_status DataSet::openArrays(const char *Given, const TrainStep &Of, ds_error *Error) {
  struct stat Info;
  if (stat(Given, &Info))
    return fail(Error, DS_IO_ERROR, "cannot open '%s': %s", Given, strerror(errno));
  const bool IsFolder = S_ISDIR(Info.st_mode);
  if (ds_status Status = begin(Given, Of, IsFolder ? Of.Data.size() : 1, Error))
    return Status;
  ds_status Status = IsFolder ? openFolder(Error) : Maps[0].open(Path, "a .npz file", Error);
  if (!Status && !IsFolder)
    Status = borrowNpz(Maps[0], Path, wants, take, this, Error);
  return Status ? Status
                : check(IsFolder ? "the folder has a file NAME.npy for each; it has: " : "its arrays: ", Error);
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

ds_status DataSet::openTokens(const char *Given, int32_t Dtype, uint64_t Length, const TrainStep &Of, ds_error *Error) {
  if (ds_status Status = begin(Given, Of, 1, Error))
    return Status;
  Text Types;
  size_t Count = 0;
  bool Good = Of.Target != TrainStep::None;
  for (Column &C : Columns) {
    const ds_tensor_info Info = Of.input(C.Input);
    Types.append("%s'%s' ", Types.empty() ? "" : ", ", Info.name);
    appendType(Types, Info);
    C.IsGiven = C.Input == Of.Target || !ds_model_input_is_optional(Of.Model, C.Input);
    if (!C.IsGiven)
      continue;
    ++Count;
    Good = Good && C.Rank == 2 && C.IsSampled && canConvert(Dtype, C.To);
  }
  if (!Good || Count != 2)
    return fail(Error, DS_BAD_INPUT,
                "--tokens is for models that take a batch of sequences of integers and a target like it; this one "
                "takes: %s; give --data",
                Types.str());
  if (ds_status Status = Maps[0].open(Path, "a file of tokens", Error))
    return Status;
  const size_t Size = ds_dtype_size(Dtype), Tokens = Maps[0].size() / Size;
  if (Maps[0].size() % Size)
    return fail(Error, DS_BAD_INPUT, "'%s' has %zu bytes, which are not whole tokens of type %s (--token-type)", Path,
                Maps[0].size(), ds_dtype_name(Dtype));
  if (Tokens < 2 || Tokens - 1 < Length)
    return fail(Error, DS_BAD_INPUT,
                "'%s' has %zu tokens of type %s, fewer than the %llu of one sequence and its target (--sequence-length "
                "%llu, --token-type)",
                Path, Tokens, ds_dtype_name(Dtype), static_cast<unsigned long long>(Length + 1),
                static_cast<unsigned long long>(Length));
  Samples = (Tokens - 1) / Length;
  for (Column &C : Columns) {
    const ds_tensor_info Info = Of.input(C.Input);
    if (!C.IsGiven)
      continue;
    if (Info.dimensions[1].size >= 0 && uint64_t(Info.dimensions[1].size) != Length)
      return fail(Error, DS_BAD_INPUT, "the model takes sequences of %lld tokens; give --sequence-length %lld",
                  static_cast<long long>(Info.dimensions[1].size), static_cast<long long>(Info.dimensions[1].size));
    C.From = Dtype;
    C.Data = reinterpret_cast<const char *>(Maps[0].data()) + (C.Input == Of.Target ? Size : 0);
    C.RowElements = Length;
    C.Stride = Length * Size;
    Shapes[C.FirstDimension + 1] = int64_t(Length);
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Batches
//===----------------------------------------------------------------------===//

ds_status DataSet::reserve(size_t Size, ds_error *Error) {
  for (Column &C : Columns) {
    size_t Bytes;
    if (!C.IsGiven || (C.Batch && Size <= Capacity))
      continue;
    free(C.Batch);
    C.Batch = nullptr;
    if (__builtin_mul_overflow(C.IsSampled ? Size : 1, C.RowElements, &Bytes) ||
        __builtin_mul_overflow(Bytes, ds_dtype_size(C.To), &Bytes) || !(C.Batch = allocateFileBuffer(Bytes)))
      return fail(Error, DS_OUT_OF_MEMORY, "out of memory for a batch of %zu samples; give a smaller --batch-size",
                  Size);
  }
  Capacity = Size;
  for (size_t I = 0; I < Columns.size(); ++I) // what is the same in all batches
    if (Column &C = Columns[I]; C.IsGiven && !C.IsSampled)
      if (ds_status Status = convert(C, C.Data, static_cast<char *>(C.Batch), C.RowElements, 0, Error))
        return Status;
  return DS_OK;
}

ds_status DataSet::convert(const Column &C, const char *From, char *To, size_t Count, uint64_t Sample,
                           ds_error *Error) const {
  const size_t Done = convertElements(C.From, From, C.To, To, Count);
  if (Done == Count)
    return DS_OK;
  Text Value;
  appendInteger(Value, C.From, From + Done * ds_dtype_size(C.From));
  return fail(
      Error, DS_BAD_INPUT, "array '%s' of '%s': sample %llu has the value %s, which %s, the model's type, lacks",
      Step->inputName(C.Input), Path, static_cast<unsigned long long>(Sample), Value.str(), ds_dtype_name(C.To));
}

ds_status DataSet::checkClasses(const Column &C, const char *Batch, uint64_t Sample, ds_error *Error) const {
  if (C.Input != Step->Target || !Step->Classes || C.To != DS_INT64)
    return DS_OK;
  for (size_t I = 0; I < C.RowElements; ++I) {
    int64_t Class;
    memcpy(&Class, Batch + I * sizeof Class, sizeof Class);
    if ((Class >= 0 && Class < Step->Classes) || (Step->HasIgnored && Class == Step->Ignored))
      continue;
    Text Else;
    if (Step->HasIgnored)
      Else.append(", or %lld, which does not count", static_cast<long long>(Step->Ignored));
    else
      Else.append("; compile with --loss=cross_entropy:ignore_index=%lld if it shall not count",
                  static_cast<long long>(Class));
    return fail(Error, DS_BAD_INPUT, "the target '%s' of '%s': sample %llu has the class %lld, expected 0 to %lld%s",
                Step->inputName(C.Input), Path, static_cast<unsigned long long>(Sample), static_cast<long long>(Class),
                static_cast<long long>(Step->Classes - 1), Else.str());
  }
  return DS_OK;
}

ds_status DataSet::gather(const uint32_t *Order, uint64_t First, size_t Count, ds_tensor *Inputs, ds_error *Error) {
  for (const Column &C : Columns) {
    if (!C.IsGiven)
      continue;
    int64_t *Shape = Shapes.data() + C.FirstDimension;
    Inputs[C.Input] = {C.Batch, C.To, int32_t(C.Rank), Shape, nullptr};
    if (!C.IsSampled)
      continue;
    Shape[0] = int64_t(Count);
    char *To = static_cast<char *>(C.Batch);
    for (size_t I = 0; I < Count; ++I, To += C.RowElements * ds_dtype_size(C.To)) {
      const uint64_t Sample = Order ? Order[First + I] : First + I;
      if (ds_status Status = convert(C, C.Data + Sample * C.Stride, To, C.RowElements, Sample, Error))
        return Status;
      if (ds_status Status = checkClasses(C, To, Sample, Error))
        return Status;
    }
  }
  return DS_OK;
}

} // namespace ds::runtime
