//===- Model.cpp - Checks loaded models and tells of them -----------------===//
// Assumes: nothing about the metadata.
// Guarantees: metadata, format versions and CPU features are checked before any code of the model runs.
// Declines: files; that is ModelFile.cpp, which programs with a model linked in need not contain.
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "CpuFeatures.h"
#include "Tensor.h"
#include "ds_hash.h"
#include <new>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace ds::runtime;

ds_model::~ds_model() {
  for (ds_model *Body : Bodies)
    ds_model_release(Body);
  if (WeightMap)
    munmap(WeightMap, WeightMapSize);
  if (Library)
    CloseLibrary(Library);
  if (Descriptor >= 0)
    close(Descriptor);
}

void ds::runtime::retain(ds_model *Model) { Model->References.fetch_add(1, std::memory_order_relaxed); }

void ds_model_release(ds_model *Model) {
  if (Model && Model->References.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Model->~ds_model();
    free(Model);
  }
}

/// Whether this machine could run the program if its CPU had the features.
static ds_status checkMachine(const Metadata &Meta, uint16_t ElfMachine, const char *Path, ds_error *Error) {
  const char *Triple = Meta.text(Meta.Program->triple);
  size_t Length = strlen(HostArchitecture);
  if (ElfMachine != HostElfMachine || strncmp(Triple, HostArchitecture, Length) ||
      (Triple[Length] != '-' && Triple[Length]))
    return fail(Error, DS_UNSUPPORTED, "'%s' was compiled for '%s', but this machine is %s; compile the model for it",
                Path, Triple, HostArchitecture);
  if (Meta.Program->kernel_abi != DS_KERNEL_ABI_VERSION)
    return fail(Error, DS_BAD_ARTIFACT,
                "'%s' has kernels for runtime interface %u, this runtime has %u; compile the model again", Path,
                Meta.Program->kernel_abi, unsigned(DS_KERNEL_ABI_VERSION));
  return DS_OK;
}

static void missingFeatures(const Metadata &Meta, Text &Missing) {
  for (size_t I = 0; I < Meta.Features.size(); ++I)
    if (const char *Name = Meta.text(Meta.Features[I]); !cpuHasFeature(Name))
      Missing.append("%s%s", Missing.empty() ? "" : ", ", Name);
}

/// What a call and its body disagree on, or NULL.
static const char *callProblem(const Metadata &Meta, const ds_artifact_call &C, size_t Index, const Metadata &Its) {
  const bool Loop = C.kind == DS_CALL_LOOP;
  const uint32_t First = Index ? C.split : 0, Count = Loop ? C.input_count : Index ? C.input_count - C.split : C.split;
  auto Alike = [](const ds_artifact_operand &O, const ds_artifact_tensor &T, uint32_t RankDifference) {
    return O.dtype == T.dtype && O.rank == T.rank + RankDifference;
  };
  auto IsScalar = [](const ds_artifact_tensor &T, uint32_t Dtype) { return T.dtype == Dtype && T.rank == 0; };
  if (Its.Donations.size())
    return "the body of a call with donations";
  if (Its.Inputs.size() != size_t(Count) + Loop || Its.Outputs.size() != size_t(C.output_count) + Loop)
    return "a call with more or fewer operands than its body has";
  if (Loop && (!IsScalar(Its.Inputs[0], DS_INT64) || !IsScalar(Its.Outputs[0], DS_BOOL)))
    return "the body of a loop without a number or a condition";
  for (uint32_t I = 0; I < Count; ++I)
    if (!Alike(Meta.Operands[C.first_operand + First + I], Its.Inputs[I + Loop], 0))
      return "a call's input of another type than its body takes";
  for (uint32_t I = 0; I < C.output_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + C.input_count + I];
    if (!Alike(O, Its.Outputs[I + Loop], Loop && I >= C.split))
      return "a call's output of another type than its body makes";
    if (Loop && I < C.split && !Alike(O, Its.Inputs[I + 1], 0))
      return "a loop's state that changes its type";
  }
  size_t Given = 0;
  for (size_t I = 0; I < Its.Symbols.size(); ++I)
    Given += Its.Symbols[I].input == DS_ARTIFACT_GIVEN;
  return Given == C.argument_count[Index] ? nullptr : "a call that gives more or fewer symbols than its body has";
}

// Symbols that a session is given are the coordinates of a rank, and few.
static constexpr size_t MaxGiven = 1024;

/// What a version has otherwise than the program, or NULL.
static const char *versionProblem(const Metadata &Meta, const Metadata &Its) {
  auto Alike = [](const Table<ds_artifact_tensor> &A, const Table<ds_artifact_tensor> &B) {
    bool Same = A.size() == B.size();
    for (size_t I = 0; Same && I < A.size(); ++I)
      Same = A[I].dtype == B[I].dtype && A[I].rank == B[I].rank;
    return Same;
  };
  if (!Alike(Meta.Inputs, Its.Inputs) || !Alike(Meta.Outputs, Its.Outputs))
    return "a version with other inputs or outputs";
  size_t Left = MaxGiven * MaxGiven;
  for (size_t I = 0; I < Its.Symbols.size(); ++I) {
    bool Found = Its.Symbols[I].input != DS_ARTIFACT_GIVEN;
    for (size_t J = 0; !Found && J < Meta.Symbols.size() && --Left; ++J)
      Found = Meta.Symbols[J].input == DS_ARTIFACT_GIVEN &&
              !strcmp(Meta.text(Meta.Symbols[J].name), Its.text(Its.Symbols[I].name));
    if (!Found)
      return "a version that waits for a symbol";
  }
  bool Same = Meta.Donations.size() == Its.Donations.size();
  for (size_t I = 0; Same && I < Meta.Donations.size(); ++I)
    Same = Meta.Donations[I].input == Its.Donations[I].input && Meta.Donations[I].output == Its.Donations[I].output;
  return Same ? nullptr : "a version with other donations";
}

static ds_status parseBodies(ds_model &Model, ds_error *Error) {
  const Metadata &Meta = Model.Meta;
  for (size_t I = 0; I < Meta.Bodies.size(); ++I) {
    ds_model *Body = newModel();
    if (!Body || !Model.Bodies.push(Body)) {
      ds_model_release(Body);
      return outOfMemory(Error);
    }
    Body->Outermost = &Model;
    if (ds_status Status = Body->Meta.parse(Meta.bodyBytes(I), Meta.Bodies[I].length, Error, /*IsBody=*/true))
      return Status;
    if (Body->Meta.Program->weights_length != Meta.Program->weights_length)
      return fail(Error, DS_BAD_ARTIFACT, "metadata is inconsistent: a body with other weights");
  }
  for (size_t I = 0; I < Meta.Versions.size(); ++I)
    if (const char *Problem = versionProblem(Meta, Model.Bodies[Meta.Versions[I].body]->Meta))
      return fail(Error, DS_BAD_ARTIFACT, "metadata is inconsistent: %s", Problem);
  for (size_t Of = 0; Of <= Model.Bodies.size(); ++Of) {
    const Metadata &Caller = Of ? Model.Bodies[Of - 1]->Meta : Meta;
    for (size_t I = 0; I < Caller.Calls.size(); ++I)
      for (size_t B = 0; B < bodyCount(Caller.Calls[I]); ++B) {
        const ds_artifact_call &C = Caller.Calls[I];
        // Later ones only: nothing runs itself.
        const char *Problem = C.bodies[B] < Of || C.bodies[B] >= Model.Bodies.size()
                                  ? "a call of a body that does not exist"
                                  : callProblem(Caller, C, B, Model.Bodies[C.bodies[B]]->Meta);
        if (Problem)
          return fail(Error, DS_BAD_ARTIFACT, "metadata is inconsistent: %s", Problem);
      }
  }
  return DS_OK;
}

static ds_status refuseCpu(const ds_model &Model, const Metadata &Last, const Text &Lacking, const char *Path,
                           ds_error *Error) {
  if (Model.VariantCount == 1)
    return fail(
        Error, DS_UNSUPPORTED,
        "'%s' was compiled for the CPU '%s' and needs features that this one lacks (%s); compile the model with "
        "--target-cpu=native here, or with an older CPU's name",
        Path, Last.text(Last.Program->cpu), Lacking.str());
  return fail(Error, DS_UNSUPPORTED,
              "'%s' was compiled for %zu CPUs, and this one lacks features that each needs (%s); compile the model "
              "with --target-cpu=native here, or with an older CPU's name",
              Path, Model.VariantCount, Lacking.str());
}

ds_status ds::runtime::chooseVariant(ds_model &Model, const void *Data, size_t Size, uint16_t ElfMachine,
                                     const char *Path, ds_error *Error) {
  const unsigned char *Bytes = static_cast<const unsigned char *>(Data);
  ds_error Reason = {};
  Metadata Next;
  const ds_artifact_program *First = nullptr;
  Text Lacking, Needs;
  bool IsFound = false;
  size_t Count = 0;
  for (size_t At = 0; !Count || At < Size; ++Count) {
    if (ds_status Status = Next.parse(Bytes + At, Size - At, &Reason))
      return fail(Error, Status, "'%s': %s", Path, Reason.message);
    At += Next.Length;
    if (ds_status Status = checkMachine(Next, ElfMachine, Path, Error))
      return Status;
    Model.Cpus.append("%s%s", Count ? ", " : "", Next.text(Next.Program->cpu));
    if (!Count)
      First = Next.Program;
    else if (Next.Program->weights_length != First->weights_length || Next.Program->code_id != First->code_id)
      return fail(Error, DS_BAD_ARTIFACT, "'%s': metadata is inconsistent: variants of different programs", Path);
    if (IsFound)
      continue;
    Text Missing;
    missingFeatures(Next, Missing);
    Needs.clear();
    Next.describeNeeds(Needs);
    if (!Needs.empty() && Count == 0 && At == Size)
      return fail(Error, DS_UNSUPPORTED, "'%s' needs %s, and this runtime is built without", Path, Needs.str());
    if (!Needs.empty())
      Missing.append("%s%s", Missing.empty() ? "" : ", ", Needs.str());
    if (Missing.empty()) {
      IsFound = true;
      Model.Meta = Next;
      Model.Variant = Count;
    } else if (Count == 0 && At == Size) {
      Lacking.append("%s", Missing.str());
    } else {
      Lacking.append("%s'%s': %s", Lacking.empty() ? "" : "; ", Next.text(Next.Program->cpu), Missing.str());
    }
    if (!Missing.ok() || !Lacking.ok())
      return outOfMemory(Error);
  }
  Model.VariantCount = Count;
  if (!Model.Cpus.ok())
    return outOfMemory(Error);
  if (!IsFound)
    return refuseCpu(Model, Next, Lacking, Path, Error);
  if (ds_status Status = parseBodies(Model, &Reason))
    return fail(Error, Status, "'%s': %s", Path, Reason.message);
  const Metadata &Meta = Model.Meta;
  if (!Model.Dimensions.resize(Meta.Dimensions.size()))
    return outOfMemory(Error);
  for (size_t I = 0; I < Meta.Dimensions.size(); ++I) {
    const ds_artifact_dimension &D = Meta.Dimensions[I];
    Model.Dimensions[I] = {D.size.kind == DS_NUMBER_CONSTANT ? D.size.value : -1, Meta.text(D.text)};
  }
  return DS_OK;
}

/// Follows the chain of the variants' code; false where it has more or fewer of them than the metadata.
static bool selectCode(ds_model &Model) {
  const ds_program_code *Code = Model.Code, *Wanted = nullptr;
  for (size_t I = 0; I < Model.VariantCount; ++I, Code = Code->next) {
    if (!Code || Code->abi_version != DS_KERNEL_ABI_VERSION) // another version may have no `next`
      return false;
    if (I == Model.Variant)
      Wanted = Code;
  }
  Model.Code = Wanted;
  return !Code;
}

/// Inputs that are left out, as the tensors that a run takes in their place.
static bool describeDefaults(ds_model &Model) {
  const Metadata &Meta = Model.Meta;
  const Table<ds_artifact_default> &All = Meta.Defaults;
  size_t Dims = 0, Strings = 0;
  for (size_t I = 0; I < All.size(); ++I) {
    Dims += Meta.Inputs[All[I].input].rank;
    Strings += Meta.Inputs[All[I].input].dtype == DS_STRING ? All[I].length : 0;
  }
  if (!Model.Defaults.resize(All.size() ? Meta.Inputs.size() : 0) || !Model.DefaultShapes.resize(Dims) ||
      !Model.DefaultStrings.resize(Strings))
    return false;
  int64_t *Shape = Model.DefaultShapes.data();
  ds_string *Next = Model.DefaultStrings.data();
  for (size_t I = 0; I < All.size(); ++I) {
    const ds_artifact_default &D = All[I];
    const ds_artifact_tensor &T = Meta.Inputs[D.input];
    ds_tensor &Default = Model.Defaults[D.input];
    Default = {nullptr, int32_t(T.dtype), int32_t(T.rank), Shape, nullptr, HostDevice};
    for (uint32_t Dim = 0; Dim < T.rank; ++Dim)
      *Shape++ = Meta.Dimensions[D.first_dimension + Dim].size.value;
    if (T.dtype != DS_STRING) {
      Default.data = const_cast<unsigned char *>(Model.Weights + D.offset);
      continue;
    }
    Default.data = Next;
    for (uint64_t S = 0; S < D.length; ++S)
      *Next++ = Meta.string(D.offset, S);
  }
  return true;
}

ds_status ds::runtime::checkCode(ds_model &Model, const char *Path, ds_error *Error) {
  auto Fits = [](const ds_program_code *Code, const Metadata &Meta) {
    return Code && Code->abi_version == DS_KERNEL_ABI_VERSION && Code->kernel_count == Meta.Kernels.size() &&
           Code->sizes && Code->run;
  };
  if (!selectCode(Model))
    return fail(Error, DS_BAD_ARTIFACT, "the code of '%s' does not fit its metadata", Path);
  bool Good = Fits(Model.Code, Model.Meta) && Model.Code->body_count == Model.Bodies.size();
  for (size_t I = 0; Good && I < Model.Bodies.size(); ++I) {
    ds_model *Body = Model.Bodies[I];
    Body->Code = Model.Code->bodies[I];
    Body->Weights = Model.Weights;
    Good = Fits(Body->Code, Body->Meta);
  }
  if (Good && !describeDefaults(Model))
    return outOfMemory(Error);
  return Good ? DS_OK : fail(Error, DS_BAD_ARTIFACT, "the code of '%s' does not fit its metadata", Path);
}

ds_model *ds::runtime::newModel() {
  alignas(DS_ARTIFACT_WEIGHT_ALIGNMENT) static const unsigned char NoWeights[DS_ARTIFACT_WEIGHT_ALIGNMENT] = {};
  void *Memory = malloc(sizeof(ds_model));
  if (!Memory)
    return nullptr;
  ds_model *Model = new (Memory) ds_model;
  Model->Weights = NoWeights;
  return Model;
}

ds_status ds_model_load_embedded(const ds_embedded_model *Embedded, ds_model **Out, ds_error *Error) {
  if (!Embedded || !Out)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_load_embedded needs a model's description and a place for the model");
  const char *Path = "(linked in)";
  if (Embedded->version != DS_EMBEDDED_VERSION)
    return fail(Error, DS_BAD_ARTIFACT,
                "the object file of the model has version %llu, this runtime reads %u; compile "
                "the model again",
                static_cast<unsigned long long>(Embedded->version), unsigned(DS_EMBEDDED_VERSION));
  ds_model *Model = newModel();
  if (!Model)
    return outOfMemory(Error);
  ds_status Status = chooseVariant(*Model, Embedded->metadata, Embedded->metadata_size, HostElfMachine, Path, Error);
  if (!Status && Model->Meta.WeightsFiles.size()) {
    char Own[4096];
    Status = ownPath(Own, sizeof Own)
                 ? mapWeightsFile(*Model, Own, Path, Error)
                 : fail(Error, DS_IO_ERROR, "cannot find this program's own file (/proc/self/exe)");
  } else if (!Status && Model->Meta.Program->weights_length != Embedded->weights_size)
    Status = fail(Error, DS_BAD_ARTIFACT, "the model linked into this program has %llu bytes of weights, expected %llu",
                  static_cast<unsigned long long>(Embedded->weights_size),
                  static_cast<unsigned long long>(Model->Meta.Program->weights_length));
  if (Embedded->weights)
    Model->Weights = static_cast<const unsigned char *>(Embedded->weights);
  Model->Code = Embedded->code;
  if (!Status)
    Status = checkCode(*Model, Path, Error);
  if (Status) {
    ds_model_release(Model);
    return Status;
  }
  *Out = Model;
  return DS_OK;
}

ds_status ds_model_verify(const ds_model *Model, ds_error *Error) {
  if (!Model)
    return fail(Error, DS_BAD_ARGUMENT, "ds_model_verify needs a model");
  const ds_artifact_program &P = *Model->Meta.Program;
  if (ds_hash_bytes(Model->Weights, P.weights_length) != P.weights_hash)
    return fail(Error, DS_BAD_ARTIFACT, "the weights are damaged (their checksum does not match)");
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// What a model says about itself
//===----------------------------------------------------------------------===//

const char *ds_dtype_name(int32_t Dtype) { return ElementTypes[dtypeSize(uint32_t(Dtype)) ? Dtype : 0].Name; }
size_t ds_dtype_size(int32_t Dtype) { return dtypeSize(uint32_t(Dtype)); }

size_t ds_model_input_count(const ds_model *Model) { return Model->Meta.Inputs.size(); }
size_t ds_model_output_count(const ds_model *Model) { return Model->Meta.Outputs.size(); }
size_t ds_model_symbol_count(const ds_model *Model) { return Model->Meta.Symbols.size(); }

static ds_status describe(const ds_model *Model, const Table<ds_artifact_tensor> &Tensors, size_t Index,
                          ds_tensor_info *Info) {
  if (!Info || Index >= Tensors.size())
    return DS_BAD_ARGUMENT;
  const ds_artifact_tensor &T = Tensors[Index];
  const Metadata &Meta = Model->Meta;
  *Info = {Meta.text(T.name), int32_t(T.dtype), int32_t(T.rank), Model->Dimensions.data() + T.first_dimension,
           T.space ? ds_device{int32_t(Meta.Devices[T.space - 1].type), 0} : ds_device{DS_DEVICE_CPU, 0}};
  return DS_OK;
}

ds_status ds_model_input(const ds_model *Model, size_t Index, ds_tensor_info *Info) {
  return describe(Model, Model->Meta.Inputs, Index, Info);
}

ds_status ds_model_output(const ds_model *Model, size_t Index, ds_tensor_info *Info) {
  return describe(Model, Model->Meta.Outputs, Index, Info);
}

ds_status ds_model_symbol(const ds_model *Model, size_t Index, ds_symbol_info *Info) {
  if (!Info || Index >= Model->Meta.Symbols.size())
    return DS_BAD_ARGUMENT;
  const ds_artifact_symbol &S = Model->Meta.Symbols[Index]; // DS_ARTIFACT_GIVEN is -1
  *Info = {Model->Meta.text(S.name), Model->Meta.text(S.display), int32_t(S.input), int32_t(S.dimension)};
  return DS_OK;
}

int ds_model_input_is_optional(const ds_model *Model, size_t Index) {
  return Model && Index < Model->Defaults.size() && Model->Defaults[Index].dtype != 0;
}

ds_status ds_model_input_default(const ds_model *Model, size_t Index, ds_tensor *Default) {
  if (!Default || !ds_model_input_is_optional(Model, Index))
    return DS_BAD_ARGUMENT;
  *Default = Model->Defaults[Index];
  return DS_OK;
}

const char *ds_model_fixed_input(const ds_model *Model, size_t Index) {
  return Model && Index < Model->Meta.FixedInputs.size() ? Model->Meta.text(Model->Meta.FixedInputs[Index]) : nullptr;
}

size_t ds_model_donation(const ds_model *Model, size_t Input) {
  for (size_t I = 0; Model && I < Model->Meta.Donations.size(); ++I)
    if (Model->Meta.Donations[I].input == Input)
      return Model->Meta.Donations[I].output;
  return DS_NO_OUTPUT;
}

size_t ds_model_generator(const ds_model *Model) {
  if (!Model)
    return DS_NO_INPUT;
  const char *Name = ds_model_property(Model, "ds.generator");
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; Name && I < Meta.Inputs.size(); ++I)
    if (const ds_artifact_tensor &T = Meta.Inputs[I]; !strcmp(Meta.text(T.name), Name))
      return T.dtype == DS_INT64 && T.rank == 1 && ds_model_input_is_optional(Model, I) &&
                     ds_model_donation(Model, I) != DS_NO_OUTPUT
                 ? I
                 : DS_NO_INPUT;
  return DS_NO_INPUT;
}

ds_status ds_model_export(const ds_model *Model, ds_model_source *Source) {
  if (!Model || !Source || !Model->Meta.ExportBytes)
    return DS_BAD_ARGUMENT;
  uint64_t Size;
  const unsigned char *Bytes = Model->Meta.ExportBytes;
  memcpy(&Size, Bytes, sizeof Size);
  *Source = {Bytes + sizeof Size, Size, Bytes + sizeof Size + Size, Model->Meta.ExportLength - sizeof Size - Size};
  return DS_OK;
}

void ds_model_describe(const ds_model *Model, ds_model_summary *Summary) {
  const Metadata &Meta = Model->Meta;
  *Summary = {Meta.text(Meta.Program->triple),
              Meta.text(Meta.Program->cpu),
              Meta.text(Meta.Program->compiler),
              Meta.Program->weights_length,
              Meta.Kernels.size(),
              Meta.Launches.size(),
              Meta.Properties.size(),
              Model->Cpus.str()};
}

const char *ds_model_property_key(const ds_model *Model, size_t Index) {
  return Index < Model->Meta.Properties.size() ? Model->Meta.text(Model->Meta.Properties[Index].key) : nullptr;
}

const char *ds_model_property(const ds_model *Model, const char *Key) {
  const Metadata &Meta = Model->Meta;
  for (size_t I = 0; Key && I < Meta.Properties.size(); ++I)
    if (!strcmp(Meta.text(Meta.Properties[I].key), Key))
      return Meta.text(Meta.Properties[I].value);
  return nullptr;
}
