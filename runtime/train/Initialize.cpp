//===- Initialize.cpp - Parameters drawn anew -------------------------------===//
// Assumes: no contraction of products and sums (-ffp-contract=off).
// Guarantees: see Initialize.h.
// Source: Marsaglia and Bray 1964 (normal numbers by rejection in a disc).
//===----------------------------------------------------------------------===//
#include "Initialize.h"
#include "../src/Inflate.h"
#include "Philox.h"
#include <math.h>
#include <stdio.h>

namespace ds::runtime {

const char *DrawRule::parse(const char *Given) {
  static constexpr struct {
    const char *Name;
    decltype(DrawRule::Keep) Kind;
  } Kinds[] = {{"keep", Keep}, {"constant=", Constant}, {"uniform=", Uniform}, {"normal=", Normal}};
  const size_t Length = strcspn(Given, ";");
  for (const auto &K : Kinds) {
    const size_t NameLength = strlen(K.Name);
    if (NameLength > Length || strncmp(Given, K.Name, NameLength))
      continue;
    Text Number;
    Number.append("%.*s", int(Length - NameLength), Given + NameLength);
    Kind = K.Kind;
    Value = 0;
    const bool IsGood =
        K.Kind == Keep ? Number.empty() : parseDecimal(Number.str(), Value) && (K.Kind == Constant || Value >= 0);
    return IsGood ? Given + Length : nullptr;
  }
  return nullptr;
}

void DrawRule::append(Text &Out) const {
  char Number[32];
  snprintf(Number, sizeof Number, "%.6g", Value);
  if (Kind == Keep)
    Out.append("kept");
  else if (Kind == Constant)
    Out.append("%s", Number);
  else if (Kind == Uniform)
    Out.append("uniform from -%s to %s", Number, Number);
  else
    Out.append("normal of deviation %s", Number);
}

/// 2 artanh((m - 1) / (m + 1)) + e ln 2 of x = m 2^e, with m from sqrt(1/2) to sqrt(2): within an ulp or two.
static double logarithm(double X) {
  int Exponent;
  double M = frexp(X, &Exponent);
  if (M < M_SQRT1_2) {
    M *= 2;
    --Exponent;
  }
  const double T = (M - 1) / (M + 1), Square = T * T;
  double Sum = 0;
  for (int K = 23; K >= 1; K -= 2)
    Sum = Sum * Square + 1.0 / K;
  return Exponent * M_LN2 + 2 * T * Sum;
}

double drawElement(const DrawRule &Rule, uint64_t Seed, uint32_t Name, uint64_t Index) {
  Philox Generator;
  Generator.Key[0] = uint32_t(Seed);
  Generator.Key[1] = uint32_t(Seed >> 32);
  Generator.Counter[0] = uint32_t(Index);
  Generator.Counter[2] = Name;
  Generator.Counter[3] = Philox::Initialize;
  uint32_t Words[4];
  // From -1 to 1, both left out, by 53 bits of two words.
  auto Number = [&](int At) {
    const uint64_t Bits = (uint64_t(Words[At]) << 32 | Words[At + 1]) >> 11;
    return (double(Bits) + 0.5) * 0x1p-52 - 1;
  };
  for (uint32_t Try = 0;; ++Try) {
    if (Rule.Kind == DrawRule::Constant || Rule.Kind == DrawRule::Keep)
      return Rule.Value;
    Generator.Counter[1] = uint32_t(Index >> 32) | Try << 16; // fewer than 2^48 elements, and tries than 2^16
    Generator.draw(Words);
    const double U = Number(0), V = Number(2), Square = U * U + V * V;
    if (Rule.Kind == DrawRule::Uniform)
      return Rule.Value * U;
    if (Square < 1 && Square > 0)
      return Rule.Value * (U * sqrt(-2 * logarithm(Square) / Square));
  }
}

bool findRule(const TrainStep &Step, size_t Input, DrawRule &Out) {
  const char *At = Step.DrawRules;
  for (size_t I : Step.States) {
    if (Step.InputRoles[I] == 'o' || Step.InputRoles[I] == 'f')
      continue;
    DrawRule Rule;
    const char *End = Rule.parse(At);
    if (!End)
      return false;
    if (I == Input) {
      Out = Rule;
      return true;
    }
    At = *End ? End + 1 : End;
  }
  return false;
}

ds_status initializeStates(const TrainStep &Step, ds_session *Session, uint64_t Seed, ds_error *Error) {
  for (size_t I : Step.States) {
    const ds_tensor_info Info = Step.input(I);
    ds_tensor T;
    DrawRule Rule;
    if (Step.InputRoles[I] == 'f') // as the model has it
      continue;
    if (Step.InputRoles[I] == 'o') {
      if (ds_status Status = ds_session_state_create(Session, I, nullptr, Error))
        return Status;
      continue;
    }
    if (!findRule(Step, I, Rule))
      return fail(Error, DS_UNSUPPORTED,
                  "--initialize: the model does not say how '%s' is drawn; compile it again, from an ONNX file",
                  Info.name);
    if (Rule.Kind == DrawRule::Keep)
      continue;
    if (Info.dtype != DS_FLOAT32 && Info.dtype != DS_FLOAT64)
      return fail(Error, DS_UNSUPPORTED, "--initialize: '%s' is %s; float32 and float64 can be drawn", Info.name,
                  ds_dtype_name(Info.dtype));
    if (ds_status Status = ds_session_state_get(Session, I, &T, Error))
      return Status;
    uint64_t Count = 1;
    for (int32_t D = 0; D < T.rank; ++D)
      Count *= uint64_t(T.shape[D]);
    const uint32_t Name = crc32(Info.name, strlen(Info.name));
    for (uint64_t E = 0; E < Count; ++E) {
      const double Value = drawElement(Rule, Seed, Name, E);
      if (Info.dtype == DS_FLOAT64)
        static_cast<double *>(T.data)[E] = Value;
      else
        static_cast<float *>(T.data)[E] = float(Value);
    }
  }
  return DS_OK;
}

} // namespace ds::runtime
