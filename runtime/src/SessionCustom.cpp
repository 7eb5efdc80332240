//===- SessionCustom.cpp - Operators of the program's own -------------------===//
// Assumes: calls and attributes were checked (Metadata.cpp).
// Guarantees: an operator gets outputs as large as the shapes that it told, or none; what it says of them is checked
//   before anything else sees it. Its results lie in the session's memory until the node runs again.
// Declines: looking for operators after the session was made.
//===----------------------------------------------------------------------===//
#include "SessionCustom.h"
#include <new>

using namespace ds::runtime;

extern "C" [[gnu::weak]] DS_API const StringLibrary ds_runtime_strings;

ds_status ds_session::checkOperators(const ds_session_options &Options, ds_error *Error) {
  const ds_custom_op *Ops = Options.custom_ops;
  if (Options.custom_op_count && !Ops)
    return fail(Error, DS_BAD_ARGUMENT, "%zu custom operators announced, but custom_ops is NULL",
                Options.custom_op_count);
  for (size_t I = 0; I < Options.custom_op_count; ++I) {
    if (!Ops[I].domain || !Ops[I].name)
      return fail(Error, DS_BAD_ARGUMENT, "custom operator number %zu lacks its domain or name", I);
    if (!Ops[I].run)
      return fail(Error, DS_BAD_ARGUMENT, "the custom operator %s.%s lacks its function 'run'", Ops[I].domain,
                  Ops[I].name);
    if (!strcmp(Ops[I].domain, StringDomain))
      return fail(Error, DS_BAD_ARGUMENT, "operators of the domain '%s' are the runtime's own", StringDomain);
    for (size_t J = 0; J < I; ++J)
      if (!strcmp(Ops[I].domain, Ops[J].domain) && !strcmp(Ops[I].name, Ops[J].name))
        return fail(Error, DS_BAD_ARGUMENT, "the custom operator %s.%s is given twice", Ops[I].domain, Ops[I].name);
  }
  return DS_OK;
}

ds_status ds_session::createCustom(const ds_artifact_call &C, CallState &S, const ds_session_options &Options,
                                   ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  const char *Domain = Meta.text(C.domain), *Name = Meta.text(C.name);
  const ds_custom_op *Found = nullptr;
  for (size_t I = 0; I < Options.custom_op_count; ++I)
    if (!strcmp(Options.custom_ops[I].domain, Domain) && !strcmp(Options.custom_ops[I].name, Name))
      Found = &Options.custom_ops[I];
  const bool OnStrings = !strcmp(Domain, StringDomain);
  if (OnStrings && !&ds_runtime_strings)
    return fail(Error, DS_UNSUPPORTED,
                "%s: the model has strings, but this program was linked without the runtime's library of strings",
                Meta.text(C.source));
  if (OnStrings && !Outermost->Strings && !(Outermost->Strings = ds_runtime_strings.Create()))
    return outOfMemory(Error);
  if (OnStrings && !(Found = ds_runtime_strings.FindOperator(Name)))
    return fail(Error, DS_UNSUPPORTED, "%s: this runtime has no operator '%s' on strings", Meta.text(C.source), Name);
  if (!Found)
    return fail(Error, DS_UNSUPPORTED,
                "%s: the model needs the custom operator '%s' of '%s', which this program did not give the session "
                "(ds_session_options.custom_ops; in Python custom_ops={'%s.%s': ...} of load)",
                Meta.text(C.source), Name, Domain, Domain, Name);
  void *Place = malloc(sizeof(CustomState));
  if (!Place)
    return outOfMemory(Error);
  CustomState &Custom = *(S.Custom = new (Place) CustomState);
  Custom.Operator = *Found;
  Custom.Counter = Meta.Launches.size() + CustomCount++;
  if (OnStrings)
    Custom.Operator.context = Outermost->Strings;
  ds_custom_node &Node = Custom.Node;
  Node.Session = this;
  Node.Call = &C;
  size_t Strings = 0, Dimensions = 0;
  auto Attribute = [&](size_t I) -> const ds_artifact_attribute & { return Meta.Attributes[C.first_attribute + I]; };
  for (size_t I = 0; I < C.attribute_count; ++I)
    if (Attribute(I).kind == DS_ATTRIBUTE_STRING || Attribute(I).kind == DS_ATTRIBUTE_STRINGS)
      Strings += Attribute(I).count;
  for (uint32_t I = 0; I < C.output_count; ++I)
    Dimensions += Meta.Operands[C.first_operand + C.input_count + I].rank;
  if (!Node.Attributes.resize(C.attribute_count) || !Node.Strings.resize(Strings) ||
      !Custom.Shapes.resize(C.output_count) || !Custom.Sizes.resize(Dimensions) ||
      !Custom.Outputs.resize(C.output_count) || !Custom.Memory.resize(C.output_count))
    return outOfMemory(Error);
  ds_string *String = Node.Strings.data();
  for (size_t I = 0; I < C.attribute_count; ++I) {
    const ds_artifact_attribute &A = Attribute(I);
    const unsigned char *Values = Meta.attributeBytes(A.offset);
    ds_attribute &Shown = Node.Attributes[I];
    Shown.name = Meta.text(A.name);
    Shown.kind = int32_t(A.kind);
    Shown.count = A.count;
    switch (A.kind) {
    case DS_ATTRIBUTE_FLOAT:
    case DS_ATTRIBUTE_FLOATS:
      Shown.floats = reinterpret_cast<const float *>(Values);
      break;
    case DS_ATTRIBUTE_STRING:
    case DS_ATTRIBUTE_STRINGS:
      Shown.strings = String;
      for (uint64_t J = 0; J < A.count; ++J) {
        const ds_artifact_bytes &B = reinterpret_cast<const ds_artifact_bytes *>(Values)[J];
        *String++ = {reinterpret_cast<const char *>(Meta.attributeBytes(B.offset)), B.length};
      }
      break;
    case DS_ATTRIBUTE_TENSOR:
      Shown.count = 0;
      Shown.tensor = {const_cast<unsigned char *>(Model->Weights + A.weight_offset), int32_t(A.dtype), int32_t(A.count),
                      reinterpret_cast<const int64_t *>(Values), nullptr};
      break;
    default:
      Shown.ints = reinterpret_cast<const int64_t *>(Values);
    }
  }
  int64_t *Size = Custom.Sizes.data();
  for (uint32_t I = 0; I < C.output_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + C.input_count + I];
    Custom.Shapes[I] = {int32_t(O.dtype), int32_t(O.rank), Size};
    Size += O.rank;
  }
  return DS_OK;
}

/// A status and a message of the operator's, as the session reports it.
static ds_status operatorError(const char *Source, int32_t Status, const ds_error &Said, ds_error *Error) {
  if (Status < DS_OK || Status > DS_IO_ERROR)
    return fail(Error, DS_BAD_INPUT, "%s: the operator returned %d, which is no status", Source, Status);
  if (!Said.message[0])
    return fail(Error, ds_status(Status), "%s: the operator failed with status %d and no message", Source, Status);
  return fail(Error, ds_status(Status), "%s: %s", Source, Said.message);
}

/// The shapes of the outputs, as the operator tells them.
ds_status ds_session::inferCustom(const ds_artifact_call &C, CallState &S, const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  CustomState &Custom = *S.Custom;
  const char *Source = Meta.text(C.source);
  // The operator may write to this array: it gets all anew each time.
  int64_t *Size = Custom.Sizes.data();
  for (uint32_t I = 0; I < C.output_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + C.input_count + I];
    Custom.Shapes[I] = {int32_t(O.dtype), int32_t(O.rank), Size};
    for (uint32_t D = 0; D < O.rank; ++D) {
      const ds_artifact_number &N = Meta.Dimensions[O.first_dimension + D].size;
      *Size++ = Meta.isKnown(N, C.stage) ? number(N, P) : -1;
    }
  }
  if (Custom.Operator.infer) {
    ds_error Said = {};
    if (int32_t Status = Custom.Operator.infer(Custom.Operator.context, &Custom.Node, S.Inputs.data(), C.input_count,
                                               Custom.Shapes.data(), C.output_count, &Said))
      return operatorError(Source, Status, Said, Error);
  }
  const int64_t *Told = Custom.Sizes.data();
  for (uint32_t I = 0; I < C.output_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + C.input_count + I];
    for (uint32_t D = 0; D < O.rank; ++D) {
      const int64_t Is = Told[D];
      if (Is < 0 || Is > MaxDimension)
        return fail(Error, DS_BAD_INPUT, "%s: the operator %s dimension %u of output %u%s", Source,
                    Is == -1 ? "does not tell" : "tells an impossible size of", D, I,
                    Is == -1 && !Custom.Operator.infer ? ", since it has no function 'infer'" : "");
      const ds_artifact_number &N = Meta.Dimensions[O.first_dimension + D].size;
      if (Meta.isKnown(N, C.stage) && number(N, P) != Is)
        return fail(Error, DS_BAD_INPUT, "%s: the operator tells %lld as dimension %u of output %u, the model %lld",
                    Source, static_cast<long long>(Is), D, I, static_cast<long long>(number(N, P)));
    }
    Told += O.rank;
  }
  return DS_OK;
}

ds_status ds_session::custom(const ds_artifact_call &C, CallState &S, const Plan &P, ds_error *Error) {
  if (!Profiling)
    return runCustom(C, S, P, Error);
  const int64_t Start = nanoseconds();
  ds_status Status = runCustom(C, S, P, Error);
  ProfileCounter &Counter = Profile[S.Custom->Counter];
  Counter.Nanoseconds += nanoseconds() - Start;
  Counter.Calls += 1;
  return Status;
}

ds_status ds_session::runCustom(const ds_artifact_call &C, CallState &S, const Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  CustomState &Custom = *S.Custom;
  for (uint32_t I = 0; I < C.input_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + I];
    S.Inputs[I] = isAbsent(O) ? ds_tensor() : operand(O, P);
  }
  if (ds_status Status = inferCustom(C, S, P, Error))
    return Status;
  const int64_t *Shape = Custom.Sizes.data();
  for (uint32_t I = 0; I < C.output_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + C.input_count + I];
    Custom.Outputs[I] = {};
    if (isAbsent(O))
      continue;
    int64_t Bytes;
    if (!denseBytes(Shape, O.rank, dtypeSize(O.dtype), Bytes) || !Custom.Memory[I].reserve(Memory, Bytes))
      return fail(Error, DS_OUT_OF_MEMORY, "%s: cannot get memory for output %u", Meta.text(C.source), I);
    Custom.Outputs[I] = {Bytes ? Custom.Memory[I].Data : nothing(), int32_t(O.dtype), int32_t(O.rank), Shape, nullptr};
    Shape += O.rank;
  }
  ds_error Said = {};
  if (int32_t Status = Custom.Operator.run(Custom.Operator.context, &Custom.Node, S.Inputs.data(), C.input_count,
                                           Custom.Outputs.data(), C.output_count, &Said))
    return operatorError(Meta.text(C.source), Status, Said, Error);
  for (uint32_t I = 0; I < C.output_count; ++I) {
    const ds_artifact_operand &O = Meta.Operands[C.first_operand + C.input_count + I];
    if (!isAbsent(O))
      if (ds_status Status = takeResult(C, O, Custom.Outputs[I], P, Error))
        return Status;
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// What an operator may ask
//===----------------------------------------------------------------------===//

const ds_attribute *ds_custom_attribute_at(const ds_custom_node *Node, size_t Index) {
  return Node && Index < Node->Attributes.size() ? &Node->Attributes[Index] : nullptr;
}

const ds_attribute *ds_custom_attribute(const ds_custom_node *Node, const char *Name) {
  for (size_t I = 0; Node && Name && I < Node->Attributes.size(); ++I)
    if (!strcmp(Node->Attributes[I].name, Name))
      return &Node->Attributes[I];
  return nullptr;
}

static const ds_attribute *findOfKind(const ds_custom_node *Node, const char *Name, int32_t Kind) {
  const ds_attribute *A = ds_custom_attribute(Node, Name);
  return A && A->kind == Kind ? A : nullptr;
}

int64_t ds_custom_int(const ds_custom_node *Node, const char *Name, int64_t Otherwise) {
  const ds_attribute *A = findOfKind(Node, Name, DS_ATTRIBUTE_INT);
  return A ? A->ints[0] : Otherwise;
}

float ds_custom_float(const ds_custom_node *Node, const char *Name, float Otherwise) {
  const ds_attribute *A = findOfKind(Node, Name, DS_ATTRIBUTE_FLOAT);
  return A ? A->floats[0] : Otherwise;
}

const char *ds_custom_string(const ds_custom_node *Node, const char *Name, const char *Otherwise) {
  const ds_attribute *A = findOfKind(Node, Name, DS_ATTRIBUTE_STRING);
  return A ? A->strings[0].data : Otherwise;
}

const char *ds_custom_source(const ds_custom_node *Node) {
  return Node ? Node->Session->Model->Meta.text(Node->Call->source) : "";
}

namespace {
/// A function of the operator's, disguised as a kernel.
struct SpreadWork {
  ds_kernel_state State = {}; // first: what the pool hands on
  int32_t (*Body)(void *, int64_t, int64_t);
  void *Argument;
};
} // namespace

int32_t ds_custom_parallel(ds_custom_node *Node, int64_t Count, int64_t Grain,
                           int32_t (*Body)(void *, int64_t, int64_t), void *Argument) {
  if (Count <= 0 || !Body)
    return 0;
  if (!Node || Node->Spread.exchange(true))
    return Body(Argument, 0, Count);
  SpreadWork Work = {{}, Body, Argument};
  auto Kernel = [](const ds_kernel_state *State, const ds_kernel_worker *, int64_t Begin, int64_t End) {
    const SpreadWork &W = *reinterpret_cast<const SpreadWork *>(State);
    return W.Body(W.Argument, Begin, End);
  };
  ds_session &S = *Node->Session;
  const int32_t Result = S.Pool->run(S.Workers.data(), Kernel, &Work.State, Count, Grain);
  Node->Spread.store(false);
  return Result;
}

ds_status ds_model_custom_op(const ds_model *Model, size_t Index, const char **Domain, const char **Name) {
  if (!Model || !Domain || !Name)
    return DS_BAD_ARGUMENT;
  // Calls of the model and its bodies, in order; one like an earlier one does not count.
  auto Each = [&](auto Visit) {
    for (size_t B = 0; B <= Model->Bodies.size(); ++B) {
      const Metadata &Meta = B ? Model->Bodies[B - 1]->Meta : Model->Meta;
      for (size_t I = 0; I < Meta.Calls.size(); ++I)
        if (Meta.Calls[I].kind == DS_CALL_CUSTOM && strcmp(Meta.text(Meta.Calls[I].domain), StringDomain) &&
            Visit(Meta.text(Meta.Calls[I].domain), Meta.text(Meta.Calls[I].name)))
          return;
    }
  };
  bool Found = false;
  Each([&](const char *D, const char *N) {
    bool First = false;
    Each([&](const char *OtherDomain, const char *OtherName) {
      First = OtherDomain == D && OtherName == N;
      return First || (!strcmp(OtherDomain, D) && !strcmp(OtherName, N));
    });
    Found = First && Index-- == 0;
    if (Found)
      *Domain = D, *Name = N;
    return Found;
  });
  return Found ? DS_OK : DS_BAD_ARGUMENT;
}
