//===- StringOperators.cpp - What looks into strings ------------------------===//
// Assumes: the compiler's calls (lib/Simplify/LowerStrings.cpp, Node::stringOperator), with operands and results of the
//   types that it gives them; an artifact may say anything, so that numbers and types are checked.
// Guarantees: results as ONNX defines them, independent of the locale.
// Declines: changes of case that make one character several.
//===----------------------------------------------------------------------===//
#include "../src/Tensor.h"
#include "Regex.h"
#include "Strings.h"
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

namespace ds::runtime {

namespace {

/// One call of an operator.
struct Call {
  StringTable &Table;
  ds_custom_node *Node;
  const ds_tensor *Inputs;
  size_t InputCount;
  const ds_tensor *Outputs;
  size_t OutputCount;
  ds_error *Error;

  const int64_t *numbers(size_t I) const { return static_cast<const int64_t *>(Inputs[I].data); }
  template <typename T> T *output(size_t I) const { return static_cast<T *>(Outputs[I].data); }

  ds_status text(int64_t Number, ds_string &Text) const {
    return Table.text(Number, Text) ? DS_OK
                                    : fail(Error, DS_BAD_INPUT, "a string has number %lld, the last one is %zu",
                                           static_cast<long long>(Number), Table.size() - 1);
  }
  ds_status number(const char *Data, size_t Size, int64_t &Number) const {
    return Table.number(Data, Size, Number) ? DS_OK : outOfMemory(Error);
  }
};

int64_t elements(const ds_tensor &T) {
  int64_t Count = 1;
  for (int32_t D = 0; D < T.rank; ++D)
    Count *= T.shape[D];
  return Count;
}

ds_status wrongTypes(ds_error *Error) {
  return fail(Error, DS_BAD_ARTIFACT, "the operands of an operator on strings do not have its types");
}

/// All operands and results have these element types (0: any).
ds_status checkTypes(const ds_tensor *Inputs, size_t InputCount, const int32_t *In, size_t Needed, ds_error *Error) {
  if (InputCount < Needed)
    return wrongTypes(Error);
  for (size_t I = 0; I < Needed; ++I)
    if (In[I] && Inputs[I].dtype != In[I])
      return wrongTypes(Error);
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Between callers and numbers
//===----------------------------------------------------------------------===//

ds_status numberAll(const Call &C, size_t FirstOutput) {
  if (C.OutputCount < FirstOutput + C.InputCount)
    return wrongTypes(C.Error);
  for (size_t I = 0; I < C.InputCount; ++I) {
    if (C.Inputs[I].dtype != DS_STRING || C.Outputs[FirstOutput + I].dtype != DS_INT64 ||
        elements(C.Inputs[I]) != elements(C.Outputs[FirstOutput + I]))
      return wrongTypes(C.Error);
    const auto *From = static_cast<const ds_string *>(C.Inputs[I].data);
    int64_t *To = C.output<int64_t>(FirstOutput + I);
    for (int64_t E = 0, Count = elements(C.Inputs[I]); E < Count; ++E) {
      if (!From[E].data && From[E].size)
        return fail(C.Error, DS_BAD_INPUT, "string %lld of the input has %zu bytes, but data is NULL",
                    static_cast<long long>(E), From[E].size);
      if (ds_status Status = C.number(From[E].data ? From[E].data : "", From[E].size, To[E]))
        return Status;
    }
  }
  return DS_OK;
}

ds_status begin(const Call &C) {
  const ds_attribute *Own = ds_custom_attribute(C.Node, "table");
  if (!Own || Own->kind != DS_ATTRIBUTE_STRINGS || !Own->count || Own->strings[0].size || !C.OutputCount ||
      C.Outputs[0].dtype != DS_INT64 || elements(C.Outputs[0]) != 1)
    return wrongTypes(C.Error);
  if (!C.Table.begin(Own->strings, Own->count))
    return outOfMemory(C.Error);
  C.output<int64_t>(0)[0] = int64_t(Own->count);
  return numberAll(C, 1);
}

ds_status numbersOf(const Call &C) { return numberAll(C, 0); }

ds_status textsOf(const Call &C) {
  if (C.OutputCount != C.InputCount)
    return wrongTypes(C.Error);
  for (size_t I = 0; I < C.InputCount; ++I) {
    if (C.Inputs[I].dtype != DS_INT64 || C.Outputs[I].dtype != DS_STRING ||
        elements(C.Inputs[I]) != elements(C.Outputs[I]))
      return wrongTypes(C.Error);
    ds_string *To = C.output<ds_string>(I);
    for (int64_t E = 0, Count = elements(C.Inputs[I]); E < Count; ++E)
      if (ds_status Status = C.text(C.numbers(I)[E], To[E]))
        return Status;
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Concat, Match
//===----------------------------------------------------------------------===//

ds_status concat(const Call &C) {
  static const int32_t Types[] = {DS_INT64, DS_INT64};
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 2, C.Error))
    return Status;
  const int64_t Count = elements(C.Inputs[0]);
  if (elements(C.Inputs[1]) != Count || C.OutputCount != 1 || elements(C.Outputs[0]) != Count ||
      C.Outputs[0].dtype != DS_INT64)
    return wrongTypes(C.Error);
  Array<char> Both;
  for (int64_t E = 0; E < Count; ++E) {
    ds_string A, B;
    if (ds_status Status = C.text(C.numbers(0)[E], A))
      return Status;
    if (ds_status Status = C.text(C.numbers(1)[E], B))
      return Status;
    if (!Both.resize(A.size + B.size))
      return outOfMemory(C.Error);
    if (A.size)
      memcpy(Both.data(), A.data, A.size);
    if (B.size)
      memcpy(Both.data() + A.size, B.data, B.size);
    if (ds_status Status = C.number(Both.empty() ? "" : Both.data(), Both.size(), C.output<int64_t>(0)[E]))
      return Status;
  }
  return DS_OK;
}

ds_status match(const Call &C) {
  static const int32_t Types[] = {DS_INT64};
  const ds_attribute *Pattern = ds_custom_attribute(C.Node, "pattern");
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 1, C.Error))
    return Status;
  if (!Pattern || Pattern->kind != DS_ATTRIBUTE_STRING || C.OutputCount != 1 || C.Outputs[0].dtype != DS_BOOL ||
      elements(C.Outputs[0]) != elements(C.Inputs[0]))
    return wrongTypes(C.Error);
  Regex Expression;
  if (!Expression.parse(Pattern->strings[0].data, Pattern->strings[0].size))
    return fail(C.Error, DS_BAD_ARTIFACT, "the pattern has %s at byte %zu", Expression.problem(),
                Expression.position());
  for (int64_t E = 0, Count = elements(C.Inputs[0]); E < Count; ++E) {
    ds_string Text;
    if (ds_status Status = C.text(C.numbers(0)[E], Text))
      return Status;
    bool Failed;
    C.output<unsigned char>(0)[E] = Expression.matches(Text.data, Text.size, Failed);
    if (Failed)
      return outOfMemory(C.Error);
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Split
//===----------------------------------------------------------------------===//

bool isSpace(uint32_t C) {
  return (C >= 9 && C <= 13) || (C >= 0x1C && C <= 0x20) || C == 0x85 || C == 0xA0 || C == 0x1680 ||
         (C >= 0x2000 && C <= 0x200A) || C == 0x2028 || C == 0x2029 || C == 0x202F || C == 0x205F || C == 0x3000;
}

/// Hands `Visit` each part of a string, as Python's str.split does.
template <typename Fn> ds_status split(const Call &C, ds_string Text, Fn Visit) {
  const ds_attribute *Delimiter = ds_custom_attribute(C.Node, "delimiter");
  int64_t Left = ds_custom_int(C.Node, "maxsplit", -1);
  if (Left < 0)
    Left = INT64_MAX;
  const char *At = Text.data, *End = Text.data + Text.size;
  if (Delimiter && Delimiter->kind == DS_ATTRIBUTE_STRING && Delimiter->strings[0].size) {
    const ds_string D = Delimiter->strings[0];
    while (Left > 0) {
      const void *Found = memmem(At, size_t(End - At), D.data, D.size);
      if (!Found)
        break;
      const char *Stop = static_cast<const char *>(Found);
      if (ds_status Status = Visit(At, size_t(Stop - At)))
        return Status;
      At = Stop + D.size;
      --Left;
    }
    return Visit(At, size_t(End - At));
  }
  for (;;) {
    const char *Next = At;
    while (Next < End && (At = Next, isSpace(decodeUtf8(Next, End))))
      At = Next;
    if (At == End)
      return DS_OK;
    if (Left-- == 0)
      return Visit(At, size_t(End - At));
    const char *Stop = At;
    for (Next = At; Next < End && !isSpace(decodeUtf8(Next, End)); Stop = Next) {
    }
    if (ds_status Status = Visit(At, size_t(Stop - At)))
      return Status;
    At = Stop;
  }
}

ds_status splitShape(const Call &C, ds_custom_output *Shapes, size_t ShapeCount) {
  static const int32_t Types[] = {DS_INT64};
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 1, C.Error))
    return Status;
  const ds_tensor &X = C.Inputs[0];
  if (ShapeCount != 2 || Shapes[0].rank != X.rank + 1 || Shapes[1].rank != X.rank)
    return wrongTypes(C.Error);
  int64_t Most = 0;
  for (int64_t E = 0, Count = elements(X); E < Count; ++E) {
    ds_string Text;
    int64_t Parts = 0;
    if (ds_status Status = C.text(C.numbers(0)[E], Text))
      return Status;
    (void)split(C, Text, [&](const char *, size_t) { return ++Parts, DS_OK; });
    Most = Parts > Most ? Parts : Most;
  }
  for (int32_t D = 0; D < X.rank; ++D)
    Shapes[0].shape[D] = Shapes[1].shape[D] = X.shape[D];
  Shapes[0].shape[X.rank] = Most;
  return DS_OK;
}

ds_status splitAll(const Call &C) {
  const int64_t Count = elements(C.Inputs[0]), Width = C.Outputs[0].shape[C.Outputs[0].rank - 1];
  if (C.Outputs[0].dtype != DS_INT64 || C.Outputs[1].dtype != DS_INT64)
    return wrongTypes(C.Error);
  for (int64_t E = 0; E < Count; ++E) {
    ds_string Text;
    if (ds_status Status = C.text(C.numbers(0)[E], Text))
      return Status;
    int64_t *Row = C.output<int64_t>(0) + E * Width, Parts = 0;
    auto Take = [&](const char *Data, size_t Size) { return C.number(Data, Size, Row[Parts++]); };
    if (ds_status Status = split(C, Text, Take))
      return Status;
    C.output<int64_t>(1)[E] = Parts;
    while (Parts < Width)
      Row[Parts++] = 0;
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Normalize
//===----------------------------------------------------------------------===//

ds_status changeCase(const Call &C, ds_string Text, uint32_t (*Change)(uint32_t), Array<char> &Out) {
  (void)Out.resize(0);
  const char *End = Text.data + Text.size;
  for (const char *At = Text.data; At < End;) {
    const char *From = At;
    const uint32_t Character = decodeUtf8(At, End), Changed = Change(Character);
    char Bytes[4];
    size_t Size = Changed == Character ? size_t(At - From) : encodeUtf8(Changed, Bytes);
    const char *Source = Changed == Character ? From : Bytes; // what is no UTF-8 stays as it is
    for (size_t I = 0; I < Size; ++I)
      if (!Out.push(Source[I]))
        return outOfMemory(C.Error);
  }
  return DS_OK;
}

/// Hands `Visit` the number of each string that is no stopword.
template <typename Fn> ds_status normalize(const Call &C, Fn Visit) {
  static const int32_t Types[] = {DS_INT64};
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 1, C.Error))
    return Status;
  const ds_attribute *Stop = ds_custom_attribute(C.Node, "stopwords");
  const size_t StopCount = Stop && Stop->kind == DS_ATTRIBUTE_STRINGS ? Stop->count : 0;
  const bool Exact = ds_custom_int(C.Node, "is_case_sensitive", 0) != 0;
  const char *Action = ds_custom_string(C.Node, "case_change_action", "NONE");
  uint32_t (*Change)(uint32_t) = !strcmp(Action, "LOWER") ? lowerCase : !strcmp(Action, "UPPER") ? upperCase : nullptr;
  // Stopwords as numbers.
  Array<int64_t> Words;
  Array<char> Changed;
  if (!Words.resize(StopCount))
    return outOfMemory(C.Error);
  for (size_t I = 0; I < StopCount; ++I) {
    ds_string Word = Stop->strings[I];
    if (!Exact) {
      if (ds_status Status = changeCase(C, Word, lowerCase, Changed))
        return Status;
      Word = {Changed.empty() ? "" : Changed.data(), Changed.size()};
    }
    if (ds_status Status = C.number(Word.data, Word.size, Words[I]))
      return Status;
  }
  for (int64_t E = 0, Count = elements(C.Inputs[0]); E < Count; ++E) {
    ds_string Text;
    int64_t Number = C.numbers(0)[E], Compared = Number;
    if (ds_status Status = C.text(Number, Text))
      return Status;
    if (!Exact && StopCount) {
      if (ds_status Status = changeCase(C, Text, lowerCase, Changed))
        return Status;
      if (ds_status Status = C.number(Changed.empty() ? "" : Changed.data(), Changed.size(), Compared))
        return Status;
    }
    bool IsStop = false;
    for (int64_t Word : Words)
      IsStop |= Word == Compared;
    if (IsStop)
      continue;
    if (Change) {
      if (ds_status Status = changeCase(C, Text, Change, Changed))
        return Status;
      if (ds_status Status = C.number(Changed.empty() ? "" : Changed.data(), Changed.size(), Number))
        return Status;
    }
    if (ds_status Status = Visit(Number))
      return Status;
  }
  return DS_OK;
}

ds_status normalizeShape(const Call &C, ds_custom_output *Shapes, size_t ShapeCount) {
  int64_t Kept = 0;
  if (ds_status Status = normalize(C, [&](int64_t) { return ++Kept, DS_OK; }))
    return Status;
  const ds_tensor &X = C.Inputs[0];
  if (ShapeCount != 1 || Shapes[0].rank != X.rank || X.rank < 1 || X.rank > 2)
    return wrongTypes(C.Error);
  if (X.rank == 2 && X.shape[0] != 1)
    return fail(C.Error, DS_BAD_INPUT, "expected one row of strings, got %lld", static_cast<long long>(X.shape[0]));
  Shapes[0].shape[0] = 1;
  Shapes[0].shape[X.rank - 1] = Kept ? Kept : 1; // of nothing, one empty string is left
  return DS_OK;
}

ds_status normalizeAll(const Call &C) {
  int64_t Kept = 0, *To = C.output<int64_t>(0);
  if (C.Outputs[0].dtype != DS_INT64)
    return wrongTypes(C.Error);
  To[0] = 0;
  return normalize(C, [&](int64_t Number) { return To[Kept++] = Number, DS_OK; });
}

//===----------------------------------------------------------------------===//
// Numbers as text, and back
//===----------------------------------------------------------------------===//

ds_status format(const Call &C) {
  const int64_t Count = C.InputCount ? elements(C.Inputs[0]) : 0;
  if (C.InputCount != 1 || C.OutputCount != 1 || C.Outputs[0].dtype != DS_INT64 || elements(C.Outputs[0]) != Count)
    return wrongTypes(C.Error);
  char Buffer[64];
  for (int64_t E = 0; E < Count; ++E) {
    int Size = 0;
    double Value = 0;
    bool IsFloat = false;
    switch (C.Inputs[0].dtype) {
    case DS_FLOAT32:
    case DS_FLOAT64:
      IsFloat = true;
      Value = C.Inputs[0].dtype == DS_FLOAT32 ? double(static_cast<const float *>(C.Inputs[0].data)[E])
                                              : static_cast<const double *>(C.Inputs[0].data)[E];
      Size = snprintf(Buffer, sizeof Buffer, "%.8g", Value); // as ONNX Runtime does, of doubles too
      break;
    case DS_INT64:
      Size = snprintf(Buffer, sizeof Buffer, "%lld", static_cast<long long>(C.numbers(0)[E]));
      break;
    case DS_UINT64:
      Size = snprintf(Buffer, sizeof Buffer, "%llu", static_cast<unsigned long long>(C.numbers(0)[E]));
      break;
    default:
      return wrongTypes(C.Error);
    }
    if (IsFloat && Value != Value)
      Size = snprintf(Buffer, sizeof Buffer, "NaN");
    else if (IsFloat && isinf(Value))
      Size = snprintf(Buffer, sizeof Buffer, Value < 0 ? "-INF" : "INF");
    // The program's locale may write another point.
    for (int I = 0; IsFloat && I < Size; ++I)
      if (Buffer[I] == ',')
        Buffer[I] = '.';
    if (ds_status Status = C.number(Buffer, size_t(Size), C.output<int64_t>(0)[E]))
      return Status;
  }
  return DS_OK;
}

/// A locale with a decimal point, while it exists.
struct PlainLocale {
  locale_t Locale = newlocale(LC_NUMERIC_MASK, "C", locale_t());
  ~PlainLocale() {
    if (Locale)
      freelocale(Locale);
  }
};

ds_status parse(const Call &C) {
  static const int32_t Types[] = {DS_INT64};
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 1, C.Error))
    return Status;
  const int64_t Count = elements(C.Inputs[0]);
  if (C.OutputCount != 1 || elements(C.Outputs[0]) != Count)
    return wrongTypes(C.Error);
  PlainLocale Plain;
  if (!Plain.Locale)
    return outOfMemory(C.Error);
  for (int64_t E = 0; E < Count; ++E) {
    ds_string Text;
    if (ds_status Status = C.text(C.numbers(0)[E], Text))
      return Status;
    char *End = nullptr;
    const char *Kind = "a number";
    errno = 0;
    bool TooLarge = false;
    switch (C.Outputs[0].dtype) {
    case DS_FLOAT32:
      C.output<float>(0)[E] = strtof_l(Text.data, &End, Plain.Locale);
      break;
    case DS_FLOAT64:
      C.output<double>(0)[E] = strtod_l(Text.data, &End, Plain.Locale);
      break;
    case DS_INT64:
      Kind = "an integer";
      C.output<int64_t>(0)[E] = strtoll(Text.data, &End, 10);
      TooLarge = errno == ERANGE;
      break;
    case DS_UINT64:
      Kind = "an integer";
      C.output<uint64_t>(0)[E] = strtoull(Text.data, &End, 10);
      TooLarge = errno == ERANGE;
      break;
    default:
      return wrongTypes(C.Error);
    }
    while (End != Text.data && End < Text.data + Text.size && isSpace(static_cast<unsigned char>(*End)))
      ++End;
    if (End == Text.data || End != Text.data + Text.size || TooLarge)
      return fail(C.Error, DS_BAD_INPUT, "expected %s%s, got the string '%.100s'", Kind, TooLarge ? " of 64 bits" : "",
                  Text.data);
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Find, Rank
//===----------------------------------------------------------------------===//

/// For each number of input 0 its place among those of input 1 (the first one), or how many these are.
ds_status findAll(const Call &C) {
  static const int32_t Types[] = {DS_INT64, DS_INT64};
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 2, C.Error))
    return Status;
  const int64_t Count = elements(C.Inputs[0]), Keys = elements(C.Inputs[1]);
  if (C.OutputCount != 1 || C.Outputs[0].dtype != DS_INT64 || elements(C.Outputs[0]) != Count || Keys >= INT32_MAX)
    return wrongTypes(C.Error);
  size_t Size = 16;
  while (Size < 2 * size_t(Keys))
    Size *= 2;
  Array<int32_t> Slots;
  if (!Slots.resize(Size))
    return outOfMemory(C.Error);
  const int64_t *Key = C.numbers(1);
  auto Find = [&](int64_t Number) {
    size_t At = size_t(uint64_t(Number) * 0x9E3779B97F4A7C15u >> 20) & (Size - 1);
    while (Slots[At] && Key[Slots[At] - 1] != Number)
      At = (At + 1) & (Size - 1);
    return At;
  };
  for (int64_t K = 0; K < Keys; ++K)
    if (const size_t At = Find(Key[K]); !Slots[At])
      Slots[At] = int32_t(K + 1);
  for (int64_t E = 0; E < Count; ++E) {
    const int32_t Found = Slots[Find(C.numbers(0)[E])];
    C.output<int64_t>(0)[E] = Found ? Found - 1 : Keys;
  }
  return DS_OK;
}

struct Ranked {
  ds_string Text;
  int64_t Element;
};

int compareRanked(const void *A, const void *B) {
  const ds_string &X = static_cast<const Ranked *>(A)->Text, &Y = static_cast<const Ranked *>(B)->Text;
  const size_t Common = X.size < Y.size ? X.size : Y.size;
  if (int Order = Common ? memcmp(X.data, Y.data, Common) : 0)
    return Order;
  return X.size < Y.size ? -1 : X.size > Y.size;
}

/// For each string how many different ones come before it, by bytes.
ds_status rankAll(const Call &C) {
  static const int32_t Types[] = {DS_INT64};
  if (ds_status Status = checkTypes(C.Inputs, C.InputCount, Types, 1, C.Error))
    return Status;
  const int64_t Count = elements(C.Inputs[0]);
  if (C.OutputCount != 1 || C.Outputs[0].dtype != DS_INT64 || elements(C.Outputs[0]) != Count)
    return wrongTypes(C.Error);
  Array<Ranked> All;
  if (!All.resize(size_t(Count)))
    return outOfMemory(C.Error);
  for (int64_t E = 0; E < Count; ++E) {
    if (ds_status Status = C.text(C.numbers(0)[E], All[size_t(E)].Text))
      return Status;
    All[size_t(E)].Element = E;
  }
  qsort(All.data(), All.size(), sizeof(Ranked), compareRanked);
  int64_t Rank = -1;
  for (size_t I = 0; I < All.size(); ++I) {
    Rank += I == 0 || compareRanked(&All[I - 1], &All[I]) != 0;
    C.output<int64_t>(0)[All[I].Element] = Rank;
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Their table
//===----------------------------------------------------------------------===//

/// Every output is as large as the first input (those of Begin and Text: as the input of their number).
ds_status sameShape(const Call &C, ds_custom_output *Shapes, size_t ShapeCount, size_t FirstOutput, bool Each) {
  for (size_t I = FirstOutput; I < ShapeCount; ++I) {
    const size_t Number = Each ? I - FirstOutput : 0;
    if (Number >= C.InputCount || Shapes[I].rank != C.Inputs[Number].rank)
      return wrongTypes(C.Error);
    for (int32_t D = 0; D < Shapes[I].rank; ++D)
      Shapes[I].shape[D] = C.Inputs[Number].shape[D];
  }
  return DS_OK;
}

Call callOf(void *Context, ds_custom_node *Node, const ds_tensor *Inputs, size_t InputCount, const ds_tensor *Outputs,
            size_t OutputCount, ds_error *Error) {
  return {*static_cast<StringTable *>(Context), Node, Inputs, InputCount, Outputs, OutputCount, Error};
}

template <ds_status (*Function)(const Call &)>
int32_t run(void *Context, ds_custom_node *Node, const ds_tensor *Inputs, size_t InputCount, const ds_tensor *Outputs,
            size_t OutputCount, ds_error *Error) {
  return Function(callOf(Context, Node, Inputs, InputCount, Outputs, OutputCount, Error));
}

template <ds_status (*Function)(const Call &, ds_custom_output *, size_t)>
int32_t infer(void *Context, ds_custom_node *Node, const ds_tensor *Inputs, size_t InputCount, ds_custom_output *Shapes,
              size_t ShapeCount, ds_error *Error) {
  return Function(callOf(Context, Node, Inputs, InputCount, nullptr, 0, Error), Shapes, ShapeCount);
}

ds_status beginShape(const Call &C, ds_custom_output *Shapes, size_t Count) {
  return sameShape(C, Shapes, Count, 1, true);
}
ds_status eachShape(const Call &C, ds_custom_output *Shapes, size_t Count) {
  return sameShape(C, Shapes, Count, 0, true);
}
ds_status firstShape(const Call &C, ds_custom_output *Shapes, size_t Count) {
  return sameShape(C, Shapes, Count, 0, false);
}

constexpr const char *Domain = StringDomain;
const ds_custom_op Operators[] = {{Domain, "Begin", nullptr, infer<beginShape>, run<begin>},
                                  {Domain, "Number", nullptr, infer<eachShape>, run<numbersOf>},
                                  {Domain, "Text", nullptr, infer<eachShape>, run<textsOf>},
                                  {Domain, "Concat", nullptr, infer<firstShape>, run<concat>},
                                  {Domain, "Match", nullptr, infer<firstShape>, run<match>},
                                  {Domain, "Split", nullptr, infer<splitShape>, run<splitAll>},
                                  {Domain, "Normalize", nullptr, infer<normalizeShape>, run<normalizeAll>},
                                  {Domain, "Format", nullptr, infer<firstShape>, run<format>},
                                  {Domain, "Parse", nullptr, infer<firstShape>, run<parse>},
                                  {Domain, "Find", nullptr, infer<firstShape>, run<findAll>},
                                  {Domain, "Rank", nullptr, infer<firstShape>, run<rankAll>}};

} // namespace

const ds_custom_op *findStringOperator(const char *Name) {
  for (const ds_custom_op &Each : Operators)
    if (!strcmp(Each.name, Name))
      return &Each;
  return nullptr;
}

} // namespace ds::runtime
