//===- SessionPlan.cpp - From input shapes to sizes and places -------------===//
// Assumes: the model's metadata was checked.
// Guarantees: sizes that compiled code computes are checked before memory is laid out by them.
// Declines: remembering more than PlanCount tuples.
//===----------------------------------------------------------------------===//
#include "Session.h"
#include <stdio.h>

using namespace ds::runtime;

static const char *plural(size_t N) { return N == 1 ? "" : "s"; }

int64_t ds_session::number(const ds_artifact_number &N, const Plan &P) const {
  switch (N.kind) {
  case DS_NUMBER_CONSTANT:
    return N.value;
  case DS_NUMBER_VALUE:
    return P.Values[size_t(N.value)];
  case DS_NUMBER_SYMBOL:
    return P.Symbols[size_t(N.value)];
  default:
    return 0;
  }
}

/// "input 'x' should be float32 [N, 3]"
static void describeTensor(const Metadata &Meta, const ds_artifact_tensor &T, Text &Out) {
  Out.append("%s [", ds_dtype_name(int32_t(T.dtype)));
  for (size_t D = 0; D < T.rank; ++D)
    Out.append("%s%s", D ? ", " : "", Meta.text(Meta.Dimensions[T.first_dimension + D].text));
  Out.append("]");
}

ds_status ds_session::readShapes(const ds_tensor *Inputs, size_t InputCount, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  if (InputCount != Meta.Inputs.size())
    return fail(Error, DS_BAD_INPUT, "the model has %zu input%s, %zu given%s%s%s", Meta.Inputs.size(),
                plural(Meta.Inputs.size()), InputCount, Meta.FixedInputs.size() ? "; '" : "",
                Meta.FixedInputs.size() ? Meta.text(Meta.FixedInputs[0]) : "",
                Meta.FixedInputs.size() ? "' is fixed in this program (--optional)" : "");
  if (InputCount && !Inputs)
    return fail(Error, DS_BAD_ARGUMENT, "inputs is NULL");
  int64_t *Shape = GivenShapes.data();
  for (size_t I = 0; I < InputCount; ++I) {
    const ds_artifact_tensor &T = Meta.Inputs[I];
    const ds_tensor &In = Inputs[I];
    if (In.dtype != int32_t(T.dtype))
      return fail(Error, DS_BAD_INPUT, "input '%s' should be %s, given %s", Meta.text(T.name),
                  ds_dtype_name(int32_t(T.dtype)), ds_dtype_name(In.dtype));
    if (In.rank != int32_t(T.rank)) {
      Text Expected;
      describeTensor(Meta, T, Expected);
      return fail(Error, DS_BAD_INPUT, "input '%s' should have %u dimension%s (%s), given %d", Meta.text(T.name),
                  T.rank, plural(T.rank), Expected.str(), In.rank);
    }
    if (In.rank && !In.shape)
      return fail(Error, DS_BAD_ARGUMENT, "the shape of input '%s' is NULL", Meta.text(T.name));
    if (ds_status Status = checkDevice(In.device, "input", Meta.text(T.name), Error))
      return Status;
    for (uint32_t D = 0; D < T.rank; ++D) {
      if (In.shape[D] < 0 || In.shape[D] > MaxDimension)
        return fail(Error, DS_BAD_INPUT, "input '%s' has the impossible size %lld in dimension %u", Meta.text(T.name),
                    static_cast<long long>(In.shape[D]), D);
      *Shape++ = In.shape[D];
    }
  }
  return DS_OK;
}

/// Compares the given shapes with constants and symbols, or, where there is a plan, with computed dimensions.
ds_status ds_session::checkShapes(const Plan *P, ds_error *Error) const {
  const Metadata &Meta = Model->Meta;
  const int64_t *Shape = GivenShapes.data();
  for (size_t I = 0; I < Meta.Inputs.size(); Shape += Meta.Inputs[I].rank, ++I) {
    const ds_artifact_tensor &T = Meta.Inputs[I];
    for (uint32_t D = 0; D < T.rank; ++D) {
      const ds_artifact_dimension &Dimension = Meta.Dimensions[T.first_dimension + D];
      const ds_artifact_number &N = Dimension.size;
      if ((N.kind == DS_NUMBER_VALUE) != (P != nullptr))
        continue;
      const int64_t Expected = P                              ? P->Values[size_t(N.value)]
                               : N.kind == DS_NUMBER_CONSTANT ? N.value
                                                              : Symbols[size_t(N.value)];
      if (Shape[D] == Expected)
        continue;
      const char *Name = Meta.text(T.name), *Is = Meta.text(Dimension.text);
      if (N.kind == DS_NUMBER_SYMBOL) {
        const ds_artifact_symbol &S = Meta.Symbols[size_t(N.value)];
        if (S.input == DS_ARTIFACT_GIVEN)
          return fail(Error, DS_BAD_INPUT, "input '%s' has %s=%lld in dimension %u, but %s=%lld was given", Name, Is,
                      static_cast<long long>(Shape[D]), D, Is, static_cast<long long>(Expected));
        return fail(Error, DS_BAD_INPUT, "input '%s' has %s=%lld in dimension %u, but input '%s' gave %s=%lld", Name,
                    Is, static_cast<long long>(Shape[D]), D, Meta.text(Meta.Inputs[S.input].name), Is,
                    static_cast<long long>(Expected));
      }
      Text Needed, Given, Equals;
      describeTensor(Meta, T, Needed);
      appendShape(Given, Shape, T.rank);
      if (P)
        Equals.append("%s = ", Is);
      return fail(Error, DS_BAD_INPUT, "input '%s' should have %s%lld in dimension %u (%s), given %s", Name,
                  Equals.str(), static_cast<long long>(Expected), D, Needed.str(), Given.str());
    }
  }
  return DS_OK;
}

static void appendSymbols(const Metadata &Meta, const Array<int64_t> &Symbols, Text &Out) {
  for (size_t I = 0; I < Symbols.size(); ++I)
    Out.append("%s%s=%lld", I ? ", " : "", Meta.symbolName(I), static_cast<long long>(Symbols[I]));
}

ds_status ds_session::readBound(size_t Stage, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  for (size_t I = Meta.Stages[Stage - 1].symbol_count; I < Meta.Stages[Stage].symbol_count; ++I) {
    const ds_artifact_bound &B = Meta.Bound[I - Meta.Symbols.size()];
    if (!B.dtype) {
      Symbols[I] = Made[Meta.Operands[B.buffer].first_dimension + B.element];
      continue;
    }
    int64_t Value;
    int32_t Narrow;
    const char *From = static_cast<const char *>(Buffers[B.buffer]) + B.element * dtypeSize(B.dtype);
    if (B.dtype == DS_INT32) {
      memcpy(&Narrow, From, sizeof Narrow);
      Value = Narrow;
    } else {
      memcpy(&Value, From, sizeof Value);
    }
    if (Value < 0 || Value > MaxDimension)
      return fail(Error, DS_BAD_INPUT, "%s: expected sizes and positions from 0 to 2^40, got %lld", Meta.text(B.source),
                  static_cast<long long>(Value));
    Symbols[I] = Value;
  }
  return DS_OK;
}

/// Everything that follows from P.Symbols.
ds_status ds_session::fillPlan(size_t Stage, const Plan *Before, Plan &P, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  const Array<uint32_t> &TemporaryBuffers = Stages[Stage].TemporaryBuffers;
  if (!P.Values.resize(Meta.Program->value_count + 1) || !P.Sizes.resize(Meta.Dimensions.size()) ||
      !P.Temporaries.resize(TemporaryBuffers.size()))
    return outOfMemory(Error);
  if (Before && Meta.Stages[Stage - 1].value_count)
    memcpy(P.Values.data(), Before->Values.data(), Meta.Stages[Stage - 1].value_count * sizeof(int64_t));
  if (int32_t Broken = Model->Code->sizes(int32_t(Stage), P.Symbols.data(), P.Values.data())) {
    Text Given;
    appendSymbols(Meta, P.Symbols, Given);
    const char *What = Broken > 0 && size_t(Broken) <= Meta.Constraints.size()
                           ? Meta.text(Meta.Constraints[size_t(Broken) - 1])
                           : "the model does not allow these sizes";
    return fail(Error, DS_BAD_INPUT, "%s%s%s%s", What, Given.empty() ? "" : " (given ", Given.str(),
                Given.empty() ? "" : ")");
  }
  for (size_t I = 0; I < Meta.Dimensions.size(); ++I) {
    P.Sizes[I] = -1;
    if (!Meta.isKnown(Meta.Dimensions[I].size, Stage))
      continue;
    P.Sizes[I] = number(Meta.Dimensions[I].size, P);
    if (P.Sizes[I] < 0 || P.Sizes[I] > MaxDimension) {
      Text Given;
      appendSymbols(Meta, P.Symbols, Given);
      return fail(Error, DS_BAD_INPUT, "dimension '%s' would be %lld (given %s)", Meta.text(Meta.Dimensions[I].text),
                  static_cast<long long>(P.Sizes[I]), Given.str());
    }
  }
  for (size_t I = 0; I < TemporaryBuffers.size(); ++I) {
    const ds_artifact_buffer &B = Meta.Buffers[TemporaryBuffers[I]];
    P.Temporaries[I] = {number(B.size, P), B.first_launch, B.last_launch, 0};
    if (P.Temporaries[I].Size < 0)
      return fail(Error, DS_OUT_OF_MEMORY, "a temporary would be larger than any memory");
  }
  P.ScratchSize = number(Meta.Stages[Stage].scratch, P);
  if (P.ScratchSize < 0 || !alignUp(P.ScratchSize, ArenaAlignment, P.ScratchSize) || P.ScratchSize > MaxDimension)
    return fail(Error, DS_OUT_OF_MEMORY, "the scratch memory would be larger than any memory");
  bool IsNew;
  if (ds_status Status = Stages[Stage].Layout.place(P.Temporaries, P.ArenaSize, IsNew, Error))
    return Status;
  if (Logger) {
    Text Message, Given;
    appendSymbols(Meta, P.Symbols, Given);
    Message.append("%s %zu temporaries in %.2f MB for {%s}", IsNew ? "planned" : "kept places of", P.Temporaries.size(),
                   double(P.ArenaSize) / 1e6, Given.str());
    Logger(LoggerContext, Message.str());
  }
  return DS_OK;
}

ds_status ds_session::planFor(size_t Stage, const Plan *Before, const Plan *&Result, ds_error *Error) {
  const size_t Known = Model->Meta.Stages[Stage].symbol_count, Bytes = Known * sizeof(int64_t);
  StageState &S = Stages[Stage];
  Plan *Oldest = &S.Plans[0];
  for (Plan &P : S.Plans) {
    if (P.LastUse && !(Bytes && memcmp(P.Symbols.data(), Symbols.data(), Bytes))) {
      P.LastUse = ++Clock;
      Result = &P;
      return DS_OK;
    }
    if (P.LastUse < Oldest->LastUse)
      Oldest = &P;
  }
  if (S.Bound == Oldest)
    S.Bound = nullptr;
  Oldest->LastUse = 0;
  if (!Oldest->Symbols.resize(Known))
    return outOfMemory(Error);
  if (Bytes)
    memcpy(Oldest->Symbols.data(), Symbols.data(), Bytes);
  if (ds_status Status = fillPlan(Stage, Before, *Oldest, Error))
    return Status;
  Oldest->LastUse = ++Clock;
  Result = Oldest;
  return DS_OK;
}

ds_status ds_session::readSymbols(const ds_tensor *Inputs, size_t InputCount, ds_error *Error) {
  if (ds_status Status = readShapes(Inputs, InputCount, Error))
    return Status;
  if (isOutermost())
    if (ds_status Status = readGiven(Error))
      return Status;
  const Metadata &Meta = Model->Meta;
  size_t First = 0;
  for (size_t I = 0; I < Meta.Inputs.size(); First += Meta.Inputs[I].rank, ++I)
    for (uint32_t D = 0; D < Meta.Inputs[I].rank; ++D) {
      const ds_artifact_number &N = Meta.Dimensions[Meta.Inputs[I].first_dimension + D].size;
      if (N.kind != DS_NUMBER_SYMBOL)
        continue;
      const ds_artifact_symbol &S = Meta.Symbols[size_t(N.value)];
      if (S.input == I && S.dimension == D)
        Symbols[size_t(N.value)] = GivenShapes[First + D];
    }
  return checkShapes(nullptr, Error);
}

ds_status ds_session::plan(const ds_tensor *Inputs, size_t InputCount, const Plan *&Result, ds_error *Error) {
  if (ds_status Status = readSymbols(Inputs, InputCount, Error))
    return Status;
  if (ds_status Status = planFor(0, nullptr, Result, Error))
    return Status;
  return checkShapes(Result, Error);
}

static void describeShapes(const Table<ds_artifact_tensor> &Tensors, const Plan &P, ds_tensor *Out) {
  for (size_t I = 0; I < Tensors.size(); ++I)
    Out[I] = {nullptr,
              int32_t(Tensors[I].dtype),
              int32_t(Tensors[I].rank),
              P.Sizes.data() + Tensors[I].first_dimension,
              nullptr,
              HostDevice};
}

ds_status ds_session_infer(ds_session *Session, const ds_tensor *Inputs, size_t InputCount, ds_tensor *Outputs,
                           size_t OutputCount, ds_error *Error) {
  if (!Session || !Outputs || OutputCount != Session->Model->Meta.Outputs.size())
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_infer needs a session and a place for each output");
  const Plan *P = nullptr;
  if (ds_status Status = Session->resolveFeeds(Inputs, InputCount, Error))
    return Status;
  if (ds_status Status = Session->resolveStates(Inputs, InputCount, /*IsRun=*/false, Error))
    return Status;
  Session->resolveDefaults(Inputs, InputCount);
  if (!Session->Versions.empty()) {
    if (ds_status Status = Session->readSymbols(Inputs, InputCount, Error))
      return Status;
    // It may know sizes that depend on what was left out.
    if (ds_session *Version = Session->findVersion()) {
      Session->giveVersion(*Version);
      Session = Version;
    }
  }
  if (ds_status Status = Session->plan(Inputs, InputCount, P, Error))
    return Status;
  describeShapes(Session->Model->Meta.Outputs, *P, Outputs);
  return DS_OK;
}

ds_status ds_session_resolve(ds_session *Session, const int64_t *Symbols, size_t SymbolCount, ds_tensor *Inputs,
                             ds_tensor *Outputs, ds_error *Error) {
  if (!Session || (SymbolCount && !Symbols) || SymbolCount != Session->Model->Meta.Symbols.size())
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_resolve needs a session and the size of each of its symbols");
  const Metadata &Meta = Session->Model->Meta;
  for (size_t I = 0; I < SymbolCount; ++I) {
    const bool IsOwn = Symbols[I] == -1 && I < Session->GivenSymbols.size() && Session->GivenSymbols[I] >= 0;
    if (IsOwn) {
      Session->Symbols[I] = Session->GivenSymbols[I];
      continue;
    }
    if (Symbols[I] < 0 || Symbols[I] > MaxDimension)
      return fail(Error, DS_BAD_INPUT, "%s=%lld is an impossible size", Meta.text(Meta.Symbols[I].name),
                  static_cast<long long>(Symbols[I]));
    Session->Symbols[I] = Symbols[I];
  }
  const Plan *P = nullptr;
  if (ds_status Status = Session->planFor(0, nullptr, P, Error))
    return Status;
  if (Inputs)
    describeShapes(Meta.Inputs, *P, Inputs);
  if (Outputs)
    describeShapes(Meta.Outputs, *P, Outputs);
  return DS_OK;
}
