//===- SessionGiven.cpp - Symbols that the session is given -----------------===//
// Assumes: the outermost session; bodies are given theirs by the call that runs them.
// Guarantees: a run without one of them is an error that names all that are missing.
// Declines: symbols that an input's dimension says.
//===----------------------------------------------------------------------===//
#include "Session.h"

using namespace ds::runtime;

ds_status ds_session::setSymbol(const char *Name, int64_t Value, ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  if (!Name)
    return fail(Error, DS_BAD_ARGUMENT, "a given symbol needs a name");
  if (Value < 0 || Value > MaxDimension)
    return fail(Error, DS_BAD_INPUT, "%s=%lld was given, expected a number from 0 to 2^40", Name,
                static_cast<long long>(Value));
  Text Known;
  for (size_t I = 0; I < Meta.Symbols.size(); ++I) {
    const ds_artifact_symbol &S = Meta.Symbols[I];
    const bool IsNamed = !strcmp(Meta.text(S.name), Name);
    if (S.input != DS_ARTIFACT_GIVEN) {
      if (IsNamed)
        return fail(Error, DS_BAD_ARGUMENT, "the symbol '%s' is dimension %u of input '%s', which says it", Name,
                    S.dimension, Meta.text(Meta.Inputs[S.input].name));
      continue;
    }
    Known.append("%s%s", Known.empty() ? "" : ", ", Meta.text(S.name));
    if (!IsNamed)
      continue;
    const size_t Was = GivenSymbols.size();
    if (!GivenSymbols.resize(Meta.Symbols.size()))
      return outOfMemory(Error);
    for (size_t J = Was; J < GivenSymbols.size(); ++J)
      GivenSymbols[J] = -1;
    GivenSymbols[I] = Value;
    return DS_OK;
  }
  return fail(Error, DS_BAD_ARGUMENT, "the model has no symbol '%s' to be given; %s%s", Name,
              Known.empty() ? "its inputs say all of them" : "it has: ", Known.str());
}

ds_status ds_session::readGiven(ds_error *Error) {
  const Metadata &Meta = Model->Meta;
  Text Missing;
  for (size_t I = 0; I < Meta.Symbols.size(); ++I) {
    if (Meta.Symbols[I].input != DS_ARTIFACT_GIVEN)
      continue;
    if (I < GivenSymbols.size() && GivenSymbols[I] >= 0)
      Symbols[I] = GivenSymbols[I];
    else
      Missing.append("%s'%s'", Missing.empty() ? "" : ", ", Meta.text(Meta.Symbols[I].name));
  }
  if (Missing.empty())
    return DS_OK;
  return fail(Error, DS_BAD_INPUT,
              "the model needs a value for %s, which no input says; give it by ds_session_set_symbol (a program: "
              "--symbol NAME=VALUE)",
              Missing.str());
}

/// A version has symbols of the same names.
void ds_session::giveVersion(ds_session &Version) const {
  const Metadata &Meta = Model->Meta, &Its = Version.Model->Meta;
  for (size_t I = 0; I < GivenSymbols.size(); ++I)
    for (size_t J = 0; GivenSymbols[I] >= 0 && J < Its.Symbols.size(); ++J)
      if (Its.Symbols[J].input == DS_ARTIFACT_GIVEN &&
          !strcmp(Meta.text(Meta.Symbols[I].name), Its.text(Its.Symbols[J].name)))
        Version.Symbols[J] = GivenSymbols[I];
}

ds_status ds_session_set_symbol(ds_session *Session, const char *Name, int64_t Value, ds_error *Error) {
  if (!Session)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_set_symbol needs a session");
  return Session->setSymbol(Name, Value, Error);
}
