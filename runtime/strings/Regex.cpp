//===- Regex.cpp - Regular expressions that match a whole text -------------===//
// Guarantees: see Regex.h. Taken: literals, . [classes] [[:names:]] \d \w \s and their opposites, * + ? {m,n} (lazy
// ones
//   too: a full match is the same), | and groups (?: ) (?P<name> ) (?flags) with flags i, m, s, U, ^ $ \A \z \b \B,
//   \Q...\E, and escapes \a \f \n \r \t \v \x41 \x{1F600} \123. As a set of states that moves over the text.
//===----------------------------------------------------------------------===//
#include "Regex.h"
#include <algorithm>

namespace ds::runtime {

static constexpr uint32_t Last = 0x10FFFF, Nothing = UINT32_MAX;
// As in RE2: more is refused.
static constexpr uint32_t MaxRepeat = 1000, MaxProgram = 100000, MaxDepth = 200;
// The ranges of all classes of a pattern; those that are read again, ten times as many.
static constexpr uint32_t MaxRanges = 1 << 20;

static bool isWord(uint32_t C) {
  return (C >= '0' && C <= '9') || (C >= 'A' && C <= 'Z') || (C >= 'a' && C <= 'z') || C == '_';
}

/// Writes instructions while it reads: what is repeated is read again.
class RegexParser {
public:
  RegexParser(Regex &R, const char *Pattern, size_t Size) : R(R), Begin(Pattern), At(Pattern), End(Pattern + Size) {}
  bool parse() {
    if (!alternatives(0))
      return false;
    if (At != End)
      return fail("an unmatched )");
    return emit(Regex::Accept);
  }

private:
  using Range = Regex::Range;
  struct Flags {
    bool Fold = false, Lines = false, Newline = false;
  };

  bool fail(const char *Problem) {
    if (!R.Problem) {
      R.Problem = Problem;
      R.Position = size_t(At - Begin);
    }
    return false;
  }
  bool emit(Regex::Operation Op, uint32_t A = 0, uint32_t B = 0) {
    // Also where nested repetitions are read again and again.
    if (R.Program.size() >= MaxProgram || ++Emitted > 10 * MaxProgram)
      return fail("too large a pattern");
    return R.Program.push({Op, State.Fold, A, B}) || fail("no memory");
  }
  uint32_t here() const { return uint32_t(R.Program.size()); }
  bool ahead(const char *Text) const {
    const size_t Size = strlen(Text);
    return size_t(End - At) >= Size && !memcmp(At, Text, Size);
  }
  bool take(const char *Text) {
    if (!ahead(Text))
      return false;
    At += strlen(Text);
    return true;
  }

  // A set of characters is built in Ranges from First on.
  bool addRange(uint32_t Low, uint32_t High) {
    if (Low > High)
      return true;
    if (R.Ranges.size() >= MaxRanges || ++Added > 10 * MaxRanges)
      return fail("too large a class");
    return R.Ranges.push({Low, High}) || fail("no memory");
  }
  /// The ranges from First on in order and apart.
  void normalize(size_t First) {
    Range *Begin = R.Ranges.data() + First, *To = Begin;
    std::sort(Begin, R.Ranges.end(), [](const Range &A, const Range &B) { return A.Low < B.Low; });
    for (const Range *Each = Begin; Each != R.Ranges.end(); ++Each)
      if (To != Begin && Each->Low <= To[-1].High + 1)
        To[-1].High = std::max(To[-1].High, Each->High);
      else
        *To++ = *Each;
    (void)R.Ranges.resize(size_t(To - R.Ranges.data()));
  }
  bool emitSet(size_t First) {
    normalize(First);
    return emit(Regex::Set, uint32_t(First), uint32_t(R.Ranges.size()));
  }
  /// Adds what differs from the ranges from First on in case only.
  bool addCases(size_t First) {
    // Past this there are letters with a case in small blocks only.
    constexpr uint32_t Most = 0x2200;
    normalize(First); // no letter twice
    const size_t Count = R.Ranges.size();
    for (size_t I = First; I < Count; ++I) {
      const Range Each = R.Ranges[I];
      for (uint32_t C = Each.Low; C <= Each.High && C < Most; ++C) {
        if (++Added > 10 * MaxRanges)
          return fail("too large a class");
        uint32_t Others[MaxCases];
        for (size_t O = 0, Cases = otherCases(C, Others); O < Cases; ++O)
          if (!addRange(Others[O], Others[O]))
            return false;
      }
    }
    return true;
  }
  /// The ranges from First on become all others; in any case, those of which no case is among them.
  bool invert(size_t First) {
    if (State.Fold && !addCases(First))
      return false;
    normalize(First);
    Array<Range> Others;
    uint32_t Next = 0;
    for (size_t I = First; I < R.Ranges.size(); ++I) {
      const Range &Each = R.Ranges[I];
      if (Each.Low > Next && !Others.push({Next, Each.Low - 1}))
        return fail("no memory");
      if (Each.High >= Next)
        Next = Each.High + 1;
    }
    if (Next <= Last && !Others.push({Next, Last}))
      return fail("no memory");
    (void)R.Ranges.resize(First);
    for (const Range &Each : Others)
      if (!R.Ranges.push(Each))
        return fail("no memory");
    return true;
  }

  /// Adds \d and the like; false without a problem where it is none of them.
  bool addPerl(char Name) {
    const size_t First = R.Ranges.size();
    switch (Name | 0x20) {
    case 'd':
      if (!addRange('0', '9'))
        return false;
      break;
    case 'w':
      if (!addRange('0', '9') || !addRange('A', 'Z') || !addRange('_', '_') || !addRange('a', 'z'))
        return false;
      break;
    case 's':
      if (!addRange('\t', '\n') || !addRange('\f', '\r') || !addRange(' ', ' '))
        return false;
      break;
    default:
      return false;
    }
    return Name & 0x20 || invert(First);
  }

  bool addNamed() {
    static const struct {
      const char *Name;
      Range Ranges[4];
    } Names[] = {{"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {1, 0}}},
                 {"alpha", {{'A', 'Z'}, {'a', 'z'}, {1, 0}, {1, 0}}},
                 {"ascii", {{0, 127}, {1, 0}, {1, 0}, {1, 0}}},
                 {"blank", {{'\t', '\t'}, {' ', ' '}, {1, 0}, {1, 0}}},
                 {"cntrl", {{0, 31}, {127, 127}, {1, 0}, {1, 0}}},
                 {"digit", {{'0', '9'}, {1, 0}, {1, 0}, {1, 0}}},
                 {"graph", {{'!', '~'}, {1, 0}, {1, 0}, {1, 0}}},
                 {"lower", {{'a', 'z'}, {1, 0}, {1, 0}, {1, 0}}},
                 {"print", {{' ', '~'}, {1, 0}, {1, 0}, {1, 0}}},
                 {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
                 {"space", {{'\t', '\r'}, {' ', ' '}, {1, 0}, {1, 0}}},
                 {"upper", {{'A', 'Z'}, {1, 0}, {1, 0}, {1, 0}}},
                 {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
                 {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}, {1, 0}}}};
    At += 2; // [:
    const bool Other = take("^");
    for (const auto &Each : Names) {
      const size_t Size = strlen(Each.Name);
      if (size_t(End - At) < Size + 2 || memcmp(At, Each.Name, Size) || memcmp(At + Size, ":]", 2))
        continue;
      At += Size + 2;
      const size_t First = R.Ranges.size();
      for (const Range &Part : Each.Ranges)
        if (!addRange(Part.Low, Part.High))
          return false;
      return !Other || invert(First);
    }
    return fail("an unknown class name");
  }

  bool hex(uint32_t &Character) {
    const bool Braces = take("{");
    Character = 0;
    int Digits = 0;
    for (; At < End && Digits < (Braces ? 8 : 2); ++At, ++Digits) {
      const char C = *At;
      const int Value = C >= '0' && C <= '9'   ? C - '0'
                        : C >= 'a' && C <= 'f' ? C - 'a' + 10
                        : C >= 'A' && C <= 'F' ? C - 'A' + 10
                                               : -1;
      if (Value < 0)
        break;
      Character = Character * 16 + uint32_t(Value);
    }
    if (!Digits || (!Braces && Digits != 2) || (Braces && !take("}")) || Character > Last)
      return fail("a bad \\x");
    return true;
  }
  /// One character after a backslash.
  bool escaped(uint32_t &Character) {
    if (At == End)
      return fail("a backslash at the end");
    const char C = *At;
    static const char Names[] = "afnrtv", Values[] = "\a\f\n\r\t\v";
    if (const char *Found = C ? strchr(Names, C) : nullptr) {
      ++At;
      Character = uint32_t(Values[Found - Names]);
      return true;
    }
    if (C == 'x') {
      ++At;
      return hex(Character);
    }
    if ((C >= '1' && C <= '7' && End - At > 1 && At[1] >= '0' && At[1] <= '7') || C == '0') {
      Character = 0;
      for (int I = 0; I < 3 && At < End && *At >= '0' && *At <= '7'; ++I)
        Character = Character * 8 + uint32_t(*At++ - '0');
      return true;
    }
    // As in RE2: of ASCII, what is neither a letter nor a digit.
    if (C != '_' && (static_cast<unsigned char>(C) >= 0x80 || isWord(uint32_t(static_cast<unsigned char>(C)))))
      return fail("an unknown escape");
    Character = decodeUtf8(At, End);
    return true;
  }

  bool set() {
    const char *Opening = At++;
    const size_t First = R.Ranges.size();
    const bool Other = take("^");
    for (bool IsFirst = true; IsFirst || !ahead("]"); IsFirst = false) {
      if (At == End) {
        At = Opening;
        return fail("a [ without ]");
      }
      if (ahead("[:")) {
        if (!addNamed())
          return false;
        continue;
      }
      uint32_t Low, High;
      if (take("\\")) {
        if (At < End && strchr("dwsDWS", *At) && *At) {
          if (!addPerl(*At++))
            return fail("no memory");
          continue;
        }
        if (!escaped(Low))
          return false;
      } else {
        Low = decodeUtf8(At, End);
      }
      High = Low;
      if (ahead("-") && End - At > 1 && At[1] != ']') {
        ++At;
        if (take("\\")) {
          if (!escaped(High))
            return false;
        } else {
          High = decodeUtf8(At, End);
        }
        if (High < Low)
          return fail("a range whose end is before its begin");
      }
      if (!addRange(Low, High))
        return false;
    }
    ++At;
    if (Other && !invert(First))
      return false;
    const bool Fold = State.Fold;
    State.Fold = Fold && !Other;
    const bool Good = emitSet(First);
    State.Fold = Fold;
    return Good;
  }

  bool literal(uint32_t Character) {
    const size_t First = R.Ranges.size();
    return addRange(Character, Character) && emitSet(First);
  }

  /// (?flags), (?flags:, (?: and names; `Group` tells whether a group begins.
  bool groupHead(bool &Group) {
    Group = true;
    if (!take("?"))
      return true;
    if (take("P<") || take("<")) {
      while (At < End && isWord(uint32_t(static_cast<unsigned char>(*At))))
        ++At;
      return take(">") || fail("a bad group name");
    }
    bool Value = true;
    for (; At < End; ++At) {
      switch (*At) {
      case 'i':
        State.Fold = Value;
        break;
      case 'm':
        State.Lines = Value;
        break;
      case 's':
        State.Newline = Value;
        break;
      case 'U':
        break;
      case '-':
        if (!Value)
          return fail("a bad flag of a group");
        Value = false;
        break;
      case ':':
        ++At;
        return true;
      case ')':
        ++At;
        Group = false;
        return true;
      default:
        return fail("a bad flag of a group");
      }
    }
    return fail("a ( without )");
  }

  /// One thing that may be repeated. `IsEmpty`: nothing that can be, such as (?i).
  bool atom(uint32_t Depth, bool &IsEmpty) {
    IsEmpty = false;
    switch (*At) {
    case '(': {
      const char *Opening = At++;
      const Flags Saved = State;
      bool Group;
      if (!groupHead(Group))
        return false;
      if (!Group) {
        IsEmpty = true;
        return true;
      }
      if (Depth >= MaxDepth)
        return fail("too deep a pattern");
      if (!alternatives(Depth + 1))
        return false;
      State = Saved;
      if (!take(")")) {
        At = Opening;
        return fail("a ( without )");
      }
      return true;
    }
    case '[':
      return set();
    case '.': {
      ++At;
      const size_t First = R.Ranges.size();
      if (State.Newline ? !addRange(0, Last) : !addRange(0, '\n' - 1) || !addRange('\n' + 1, Last))
        return false;
      return emitSet(First);
    }
    case '^':
      ++At;
      return emit(State.Lines ? Regex::LineBegin : Regex::Begin);
    case '$':
      ++At;
      return emit(State.Lines ? Regex::LineEnd : Regex::End);
    case '*':
    case '+':
    case '?':
      return fail("a repetition of nothing");
    case '\\': {
      ++At;
      if (At == End)
        return fail("a backslash at the end");
      if (*At && strchr("dwsDWS", *At)) {
        const size_t First = R.Ranges.size();
        return (addPerl(*At++) || fail("no memory")) && emitSet(First);
      }
      if (take("A"))
        return emit(Regex::Begin);
      if (take("z"))
        return emit(Regex::End);
      if (take("b"))
        return emit(Regex::Boundary);
      if (take("B"))
        return emit(Regex::NoBoundary);
      uint32_t Character;
      return escaped(Character) && literal(Character);
    }
    case '{': {
      const char *Opening = At;
      uint32_t Least, Most;
      if (counts(Least, Most)) {
        At = Opening;
        return fail("a repetition of nothing");
      }
      return literal(decodeUtf8(At, End));
    }
    default:
      return literal(decodeUtf8(At, End));
    }
  }

  static bool number(const char *&P, const char *End, uint32_t &Value) {
    const char *First = P;
    for (Value = 0; P < End && *P >= '0' && *P <= '9'; ++P)
      Value = Value > MaxRepeat ? Value : Value * 10 + uint32_t(*P - '0');
    return P != First;
  }
  /// {m}, {m,}, {m,n}; otherwise the brace is a character.
  bool counts(uint32_t &Least, uint32_t &Most) {
    const char *P = At + 1;
    if (!number(P, End, Least))
      return false;
    Most = Least;
    if (P < End && *P == ',') {
      ++P;
      if (!number(P, End, Most))
        Most = Nothing;
    }
    if (P == End || *P != '}')
      return false;
    At = P + 1;
    return true;
  }

  /// What begins at `From` of the pattern, again.
  bool again(const char *From, const Flags &With, uint32_t Depth, bool IsLiteral) {
    const char *After = At;
    const Flags Saved = State;
    At = From;
    State = With;
    bool IsEmpty;
    const bool Good = IsLiteral ? literal(decodeUtf8(At, End)) : atom(Depth, IsEmpty);
    At = After;
    State = Saved;
    return Good;
  }

  bool repeated(const char *From, const Flags &With, uint32_t Start, size_t FirstRange, uint32_t Depth,
                bool IsLiteral = false) {
    for (bool IsFirst = true; At < End; IsFirst = false) {
      uint32_t Least = 0, Most = Nothing;
      const char *Operator = At;
      if (*At == '*') {
        ++At;
      } else if (*At == '+') {
        ++At;
        Least = 1;
      } else if (*At == '?') {
        ++At;
        Most = 1;
      } else if (*At != '{' || !counts(Least, Most)) {
        return true;
      }
      if (!IsFirst) {
        At = Operator;
        return fail("a repetition of a repetition");
      }
      if (Least > MaxRepeat || (Most != Nothing && (Most > MaxRepeat || Most < Least))) {
        At = Operator;
        return fail("a bad number of repetitions");
      }
      take("?");
      (void)R.Program.resize(Start);
      (void)R.Ranges.resize(FirstRange);
      for (uint32_t I = 0; I < Least; ++I)
        if (!again(From, With, Depth, IsLiteral))
          return false;
      if (Most == Nothing) {
        // L: split body, out; body; jump L.
        const uint32_t Loop = here();
        if (!emit(Regex::Split, Loop + 1) || !again(From, With, Depth, IsLiteral) || !emit(Regex::Jump, Loop))
          return false;
        R.Program[Loop].B = here();
        continue;
      }
      // Each further one only after the one before.
      Array<uint32_t> Exits;
      for (uint32_t I = Least; I < Most; ++I) {
        if (!Exits.push(here()))
          return fail("no memory");
        if (!emit(Regex::Split, here() + 1) || !again(From, With, Depth, IsLiteral))
          return false;
      }
      for (uint32_t Exit : Exits)
        R.Program[Exit].B = here();
    }
    return true;
  }

  bool sequence(uint32_t Depth) {
    while (At < End && *At != '|' && *At != ')') {
      if (take("\\Q")) {
        // A repetition that follows is of the last character.
        const char *Character = At;
        uint32_t Start = here();
        size_t FirstRange = R.Ranges.size();
        bool IsQuoted = false;
        while (At < End && !take("\\E")) {
          Character = At;
          Start = here();
          FirstRange = R.Ranges.size();
          IsQuoted = true;
          if (!literal(decodeUtf8(At, End)))
            return false;
        }
        if (IsQuoted && !repeated(Character, State, Start, FirstRange, Depth, /*IsLiteral=*/true))
          return false;
        continue;
      }
      const char *From = At;
      const Flags With = State;
      const uint32_t Start = here();
      const size_t FirstRange = R.Ranges.size();
      bool IsEmpty;
      if (!atom(Depth, IsEmpty))
        return false;
      if (IsEmpty) {
        continue; // a repetition that follows has nothing to repeat
      }
      if (!repeated(From, With, Start, FirstRange, Depth))
        return false;
    }
    return true;
  }

  bool alternatives(uint32_t Depth) {
    // Each but the last: split this, next; this; jump to the end.
    Array<uint32_t> Ends;
    for (;;) {
      const char *From = At;
      const Flags With = State;
      const uint32_t Start = here();
      const size_t FirstRange = R.Ranges.size();
      if (!sequence(Depth))
        return false;
      if (!ahead("|"))
        break;
      // Now it is known that another one follows: once more, after a split.
      (void)R.Program.resize(Start);
      (void)R.Ranges.resize(FirstRange);
      At = From;
      State = With;
      if (!emit(Regex::Split, Start + 1) || !sequence(Depth) || !Ends.push(here()) || !emit(Regex::Jump))
        return fail("no memory");
      R.Program[Start].B = here();
      ++At; // |
    }
    for (uint32_t Each : Ends)
      R.Program[Each].A = here();
    return true;
  }

  Regex &R;
  const char *Begin, *At, *End;
  Flags State;
  uint32_t Emitted = 0, Added = 0;
};

bool Regex::parse(const char *Pattern, size_t Size) {
  (void)Program.resize(0);
  (void)Ranges.resize(0);
  Problem = nullptr;
  Position = 0;
  return RegexParser(*this, Pattern, Size).parse();
}

bool Regex::contains(const Instruction &I, uint32_t C) const {
  auto Has = [&](uint32_t Character) {
    const Range *First = Ranges.data() + I.A, *End = Ranges.data() + I.B;
    const Range *After =
        std::upper_bound(First, End, Character, [](uint32_t Value, const Range &Each) { return Value < Each.Low; });
    return After != First && Character <= After[-1].High;
  };
  if (Has(C) || !I.Fold)
    return Has(C);
  uint32_t Others[MaxCases];
  for (size_t O = 0, Count = otherCases(C, Others); O < Count; ++O)
    if (Has(Others[O]))
      return true;
  return false;
}

bool Regex::holds(const Instruction &I, uint32_t Previous, uint32_t Next) const {
  const bool Edge = (Previous != Nothing && isWord(Previous)) != (Next != Nothing && isWord(Next));
  switch (I.Op) {
  case Begin:
    return Previous == Nothing;
  case End:
    return Next == Nothing;
  case LineBegin:
    return Previous == Nothing || Previous == '\n';
  case LineEnd:
    return Next == Nothing || Next == '\n';
  case Boundary:
    return Edge;
  default:
    return !Edge;
  }
}

/// Adds what is reached from an instruction without a character.
void Regex::follow(uint32_t From, Array<uint32_t> &List, uint32_t Previous, uint32_t Next) {
  // Each instruction is pushed at most twice a step: Stack is as large as that.
  size_t Depth = 0;
  Stack[Depth++] = From;
  while (Depth) {
    const uint32_t At = Stack[--Depth];
    if (Marks[At] == Step)
      continue;
    Marks[At] = Step;
    const Instruction &I = Program[At];
    switch (I.Op) {
    case Jump:
      Stack[Depth++] = I.A;
      break;
    case Split:
      Stack[Depth++] = I.B;
      Stack[Depth++] = I.A;
      break;
    case Set:
    case Accept:
      (void)List.push(At); // has room for all
      break;
    default:
      if (holds(I, Previous, Next))
        Stack[Depth++] = At + 1;
    }
  }
}

bool Regex::matches(const char *Text, size_t Size, bool &Failed) {
  const size_t Count = Program.size();
  Array<uint32_t> Now, Then;
  Failed = !Marks.resize(Count) || !Stack.resize(2 * Count + 2) || !Now.resize(Count) || !Then.resize(Count);
  if (Failed)
    return false;
  for (uint32_t &Mark : Marks)
    Mark = 0;
  (void)Now.resize(0);
  Step = 1;
  const char *At = Text, *TextEnd = Text + Size;
  auto Peek = [&](const char *From) { return From == TextEnd ? Nothing : decodeUtf8(From, TextEnd); };
  uint32_t Next = Peek(At), Previous = Nothing;
  follow(0, Now, Previous, Next);
  while (At < TextEnd) {
    const uint32_t Character = decodeUtf8(At, TextEnd);
    Previous = Character;
    Next = Peek(At);
    (void)Then.resize(0);
    if (++Step == 0) { // marks of 2^32 steps ago
      for (uint32_t &Mark : Marks)
        Mark = 0;
      Step = 1;
    }
    for (uint32_t I : Now)
      if (Program[I].Op == Set && contains(Program[I], Character))
        follow(I + 1, Then, Previous, Next);
    Now.swap(Then);
    if (Now.empty())
      return false;
  }
  for (uint32_t I : Now)
    if (Program[I].Op == Accept)
      return true;
  return false;
}

} // namespace ds::runtime
