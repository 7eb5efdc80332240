//===- TrainStep.cpp - What a model says of itself as a step ---------------===//
// Guarantees: see TrainStep.h.
//===----------------------------------------------------------------------===//
#include "TrainStep.h"
#include "../src/Flags.h"
#include "../src/TrainLibrary.h"
#include <math.h>
#include <stdio.h>

namespace ds::runtime {

double scalar(const ds_tensor &T) {
  double Double;
  float Single;
  if (T.dtype == DS_FLOAT64) {
    memcpy(&Double, T.data, sizeof Double);
    return Double;
  }
  memcpy(&Single, T.data, sizeof Single);
  return double(Single);
}

void appendNumber(Text &Out, double Value, bool IsSingle) {
  char Digits[40] = "";
  for (int Precision = 6; Precision <= (IsSingle ? 9 : 17); ++Precision) {
    snprintf(Digits, sizeof Digits, "%.*g", Precision, Value);
    if (IsSingle ? strtof(Digits, nullptr) == float(Value) : strtod(Digits, nullptr) == Value)
      break;
  }
  Out.append("%s", Digits);
}

static bool isFloat(int32_t Dtype) { return Dtype == DS_FLOAT32 || Dtype == DS_FLOAT64; }

static ds_status broken(const char *What, const char *Name, ds_error *Error) {
  return fail(Error, DS_BAD_ARTIFACT, "the model is no proper training step: %s%s%s%s; compile it again", What,
              *Name ? " '" : "", Name, *Name ? "'" : "");
}

ds_status TrainStep::readInputs(ds_error *Error) {
  InputCount = ds_model_input_count(Model);
  if (strlen(InputRoles) != InputCount)
    return broken("ds.train.inputs has not one letter for each input", "", Error);
  for (size_t I = 0; I < InputCount; ++I) {
    const ds_tensor_info Info = input(I);
    auto TakeScalar = [&](size_t &Place, bool IsGood) {
      if (Place != None || Info.rank || !IsGood)
        return false;
      Place = I;
      return true;
    };
    bool Good = true;
    switch (InputRoles[I]) {
    case 't':
      Good = Target == None && Info.dtype != DS_STRING;
      Target = I;
      [[fallthrough]];
    case 'd':
      if (!Data.push(I))
        return outOfMemory(Error);
      break;
    case 'f':
      Good = Info.dtype == DS_FLOAT32 && !Info.rank;
      if (Scale == None)
        Scale = I;
      [[fallthrough]];
    case 'p':
    case 'b':
    case 'o':
      Good = Good && ds_model_donation(Model, I) != DS_NO_OUTPUT;
      for (int32_t D = 0; D < Info.rank; ++D)
        Good = Good && Info.dimensions[D].size >= 0;
      if (!States.push(I))
        return outOfMemory(Error);
      break;
    case 'a':
      Good = ds_model_donation(Model, I) != DS_NO_OUTPUT && Info.rank > 0 && Info.dimensions[0].size < 0;
      for (int32_t D = 1; D < Info.rank; ++D)
        Good = Good && Info.dimensions[D].size >= 0;
      if (!Accumulators.push(I))
        return outOfMemory(Error);
      break;
    case 'l':
      Good = TakeScalar(Rate, isFloat(Info.dtype));
      break;
    case 'k':
      Good = TakeScalar(Number, Info.dtype == DS_INT64);
      break;
    case 's':
      Good = TakeScalar(Seed, Info.dtype == DS_INT64);
      break;
    default:
      Good = false;
    }
    if (!Good)
      return broken("its properties do not fit the input", Info.name, Error);
  }
  return States.empty() ? broken("it has no parameters", "", Error) : DS_OK;
}

ds_status TrainStep::readOutputs(ds_error *Error) {
  const size_t Count = ds_model_output_count(Model);
  if (strlen(OutputRoles) != Count)
    return broken("ds.train.outputs has not one letter for each output", "", Error);
  for (size_t I = 0; I < Count; ++I) {
    ds_tensor_info Info;
    ds_model_output(Model, I, &Info);
    bool Good = true;
    size_t *Scalar = nullptr;
    switch (OutputRoles[I]) {
    case 'L':
      Scalar = &Loss;
      break;
    case 'n':
      Scalar = &Counted;
      break;
    case 'c':
      Scalar = &Correct;
      break;
    case 'g':
      if (!Gradients.push(I))
        return outOfMemory(Error);
      break;
    case 'p':
    case 'b':
    case 'o':
    case 'f':
    case 'a':
      break;
    default:
      Good = false;
    }
    if (Scalar) {
      Good = *Scalar == None && Info.rank == 0 && isFloat(Info.dtype);
      *Scalar = I;
    }
    if (!Good)
      return broken("its properties do not fit the output", Info.name, Error);
  }
  for (size_t I : States)
    if (OutputRoles[ds_model_donation(Model, I)] != InputRoles[I])
      return broken("its properties do not say what becomes of the input", inputName(I), Error);
  return Loss == None ? broken("it has no loss", "", Error) : DS_OK;
}

/// Where some input takes any number of samples, one of fixed dimensions beside it is no batch, but the same each time.
void TrainStep::readBatch() {
  bool IsAny = false;
  for (size_t I : Data)
    if (const ds_tensor_info Info = input(I); Info.rank && Info.dimensions[0].size < 0)
      IsAny = true;
  for (size_t I = 0; I < Data.size(); ++I) {
    const ds_tensor_info Info = input(Data[I]);
    IsSampled[I] = Info.rank && (!IsAny || Info.dimensions[0].size < 0);
    if (IsSampled[I] && !IsAny)
      FixedBatch = Info.dimensions[0].size;
  }
}

ds_status TrainStep::read(const ds_model *Given, ds_error *Error) {
  Model = Given;
  auto Property = [&](const char *Key) {
    const char *Value = ds_model_property(Model, Key);
    return Value ? Value : "";
  };
  if (const char *Version = Property(TrainProperty); strcmp(Version, TrainVersion))
    return fail(Error, DS_BAD_ARTIFACT,
                "the model is a training step of version '%s', this runtime knows version %s; compile it again",
                Version, TrainVersion);
  InputRoles = Property("ds.train.inputs");
  OutputRoles = Property("ds.train.outputs");
  LossName = Property("ds.train.loss");
  Optimizer = Property("ds.train.optimizer");
  DrawRules = Property("ds.train.initialize");
  if (ds_status Status = readInputs(Error))
    return Status;
  if (ds_status Status = readOutputs(Error))
    return Status;
  if (!parseDecimal(Property("ds.train.lr"), BaseRate))
    return broken("ds.train.lr is not a number:", Property("ds.train.lr"), Error);
  const char *Most = Property("ds.train.classes"), *Left = Property("ds.train.ignored");
  if (*Most && !parseNumber(Most, int64_t(1) << 48, Classes))
    return broken("ds.train.classes is not a number:", Most, Error);
  HasIgnored = *Left != 0;
  char *End = nullptr;
  Ignored = strtoll(Left, &End, 10);
  if (*End)
    return broken("ds.train.ignored is not a number:", Left, Error);
  const char *Text = Property("ds.train.schedule");
  if (const char *Problem = Rates.parse(*Text ? Text : "constant"))
    return fail(Error, DS_BAD_ARTIFACT, "the model is no proper training step: its schedule '%s': %s; compile it again",
                Text, Problem);
  for (size_t I = 0; I < ds_model_symbol_count(Model); ++I) {
    ds_symbol_info Info;
    ds_model_symbol(Model, I, &Info);
    HasMode |= Info.input < 0 && !strcmp(Info.name, "mode");
  }
  if (!IsSampled.resize(Data.size()))
    return outOfMemory(Error);
  readBatch();
  return DS_OK;
}

} // namespace ds::runtime
