//===- Patterns.cpp - Any bytes as a regular expression and a text --------===//
// The pattern ends at the first NUL, the text is the rest. A pattern that is taken must match in bounded time; what it
// says of a text must be what it says of it again.
//===----------------------------------------------------------------------===//
#include "Regex.h"
#include <cstring>

using namespace ds::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  const auto *text = reinterpret_cast<const char *>(bytes);
  const auto *end = static_cast<const char *>(memchr(text, 0, size));
  const size_t length = end ? size_t(end - text) : size;
  Regex regex;
  if (!regex.parse(text, length)) {
    if (!regex.problem() || regex.position() > length)
      __builtin_trap();
    return 0;
  }
  const char *subject = end ? end + 1 : text;
  const size_t subjectSize = end ? size - length - 1 : length;
  bool failed = false;
  const bool first = regex.matches(subject, subjectSize, failed);
  if (!failed && regex.matches(subject, subjectSize, failed) != first && !failed)
    __builtin_trap();
  return 0;
}
