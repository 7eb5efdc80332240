//===- Regex.h - Regular expressions that match a whole text ----*- C++ -*-===//
// Assumes: nothing.
// Guarantees: RE2's syntax and meaning of a full match for what it takes (see Regex.cpp); time linear in the text, for
//   every pattern; no recursion on the text. A pattern that it does not take is refused with a reason and a place. The
//   compiler checks patterns with this file, and the runtime matches with it.
// Declines: \p, \C and \X; captures.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_REGEX_H
#define DS_RUNTIME_REGEX_H

#include "../src/Support.h"
#include "../src/Utf8.h"

namespace ds::runtime {

class Regex {
public:
  /// False with `problem` and `position` (a byte of the pattern).
  bool parse(const char *Pattern, size_t Size);
  /// Whether all of the text matches; `Failed` is set where there is no memory.
  bool matches(const char *Text, size_t Size, bool &Failed);
  const char *problem() const { return Problem; }
  size_t position() const { return Position; }

private:
  friend class RegexParser;
  enum Operation : uint8_t { Set, Jump, Split, Begin, End, LineBegin, LineEnd, Boundary, NoBoundary, Accept };
  struct Instruction {
    Operation Op;
    bool Fold;     // Set: in any case
    uint32_t A, B; // Set: its ranges; Jump, Split: where to
  };
  struct Range {
    uint32_t Low, High;
  };
  bool holds(const Instruction &I, uint32_t Previous, uint32_t Next) const;
  bool contains(const Instruction &I, uint32_t Character) const;
  void follow(uint32_t From, Array<uint32_t> &List, uint32_t Previous, uint32_t Next);

  Array<Instruction> Program;
  Array<Range> Ranges;
  Array<uint32_t> Marks, Stack; // of the step in which an instruction was reached
  uint32_t Step = 0;
  const char *Problem = nullptr;
  size_t Position = 0;
};

/// The simple mappings of Unicode, of one character to one.
uint32_t lowerCase(uint32_t Character);
uint32_t upperCase(uint32_t Character);
/// Writes the other characters, at most MaxCases, that differ from this one in case only, and returns how many.
inline constexpr size_t MaxCases = 6;
size_t otherCases(uint32_t Character, uint32_t *Out);

} // namespace ds::runtime

#endif
