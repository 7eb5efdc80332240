//===- Flags.h - Taking command lines apart ---------------------*- C++ -*-===//
// Assumes: nothing about the arguments.
// Guarantees: a flag takes its value after '=' or as the next argument.
// Declines: abbreviations.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_FLAGS_H
#define DS_RUNTIME_FLAGS_H

#include "Support.h"

namespace ds::runtime {

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

/// "program", of "/usr/bin/program".
const char *programName(int Argc, char **Argv);

/// A number from 0 to `Max`, which is at most INT64_MAX / 16, in decimal.
bool parseNumber(const char *S, int64_t Max, int64_t &Out);

/// How many characters must be inserted, removed or replaced to turn one flag into the other (Levenshtein); flags of
/// more than 31 characters are unlike any.
size_t editsBetween(const char *A, const char *B);

/// Finds the flag that an unknown one may have meant.
class NearestFlag {
public:
  explicit NearestFlag(const char *Given) : Given(Given) {}
  void consider(const char *Flag) {
    if (const size_t Edits = editsBetween(Given, Flag); Edits < Fewest) {
      Fewest = Edits;
      Nearest = Flag;
    }
  }
  ds_status fail(ds_error *Error) const {
    return runtime::fail(Error, DS_BAD_ARGUMENT, "unknown flag '%s'%s%s%s", Given, Nearest ? "; did you mean '" : "",
                         Nearest ? Nearest : "", Nearest ? "'?" : "");
  }

private:
  const char *Given, *Nearest = nullptr;
  size_t Fewest = 3; // more edits make another word
};

} // namespace ds::runtime

#endif
