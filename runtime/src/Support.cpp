//===- Support.cpp - Errors, text and files -------------------------------===//
// Assumes: nothing.
// Guarantees: a message always ends in NUL and is one line.
// Declines: translation of messages.
//===----------------------------------------------------------------------===//
#include "Support.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

namespace ds::runtime {

ds_status fail(ds_error *Error, ds_status Status, const char *Format, ...) {
  if (!Error)
    return Status;
  // Formatted elsewhere first: an argument may be the old message itself.
  char Message[sizeof Error->message];
  va_list Arguments;
  va_start(Arguments, Format);
  int Length = vsnprintf(Message, sizeof Message, Format, Arguments);
  va_end(Arguments);
  if (Length < 0)
    Message[0] = 0;
  else if (size_t(Length) >= sizeof Message) {
    // No character of UTF-8 is cut in two.
    size_t End = sizeof Message - 4;
    while (End > sizeof Message - 8 && (static_cast<unsigned char>(Message[End]) & 0xc0) == 0x80)
      --End;
    memcpy(Message + End, "...", 4);
  }
  for (char *C = Message; *C; ++C)
    if (static_cast<unsigned char>(*C) < 32)
      *C = ' ';
  memcpy(Error->message, Message, sizeof Message);
  return Status;
}

ds_status outOfMemory(ds_error *Error) { return fail(Error, DS_OUT_OF_MEMORY, "out of memory"); }

Text &Text::append(const char *Format, ...) {
  va_list Arguments, Again;
  va_start(Arguments, Format);
  va_copy(Again, Arguments);
  int Length = vsnprintf(nullptr, 0, Format, Arguments);
  size_t Old = size();
  if (Length < 0 || !Bytes.resize(Old + size_t(Length) + 1))
    Ok = false;
  else
    vsnprintf(Bytes.data() + Old, size_t(Length) + 1, Format, Again);
  va_end(Again);
  va_end(Arguments);
  return *this;
}

void File::reset(int Other) {
  if (Descriptor >= 0)
    close(Descriptor);
  Descriptor = Other;
}

bool readAt(int Descriptor, void *Out, size_t Size, uint64_t Offset) {
  char *To = static_cast<char *>(Out);
  while (Size) {
    ssize_t Got = pread(Descriptor, To, Size < (1u << 30) ? Size : (1u << 30), off_t(Offset));
    if (Got < 0 && errno == EINTR)
      continue;
    if (Got <= 0) {
      if (Got == 0)
        errno = 0;
      return false;
    }
    To += Got;
    Size -= size_t(Got);
    Offset += uint64_t(Got);
  }
  return true;
}

bool writeAll(int Descriptor, const void *Data, size_t Size) {
  const char *From = static_cast<const char *>(Data);
  while (Size) {
    ssize_t Put = write(Descriptor, From, Size < (1u << 30) ? Size : (1u << 30));
    if (Put < 0 && errno == EINTR)
      continue;
    if (Put < 0)
      return false;
    From += Put;
    Size -= size_t(Put);
  }
  return true;
}

} // namespace ds::runtime
