//===- OutputFile.cpp - Whole files or none -------------------------------===//
// Guarantees: the destination keeps its old contents until `keep`; afterwards it has the new ones. An unkept file
// vanishes.

#include "OutputFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace ds;

static Error cannotWrite(StringRef path, std::error_code code) {
  return createStringError(code, "cannot write '" + path + "': " + code.message());
}

static std::string descriptorPath(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

std::string OutputFile::temporaryName(StringRef destination, int pid) {
  return (destination + "." + Twine(pid) + ".tmp").str();
}

Expected<OutputFile> OutputFile::create(StringRef destination) {
  if (sys::fs::is_directory(destination))
    return createStringError(inconvertibleErrorCode(), "cannot write '" + destination + "': it is a folder");
  sys::fs::file_status status;
  if (!sys::fs::status(destination, status) && sys::fs::exists(status) && !sys::fs::is_regular_file(status))
    return createStringError(inconvertibleErrorCode(), "cannot write '" + destination + "': it is not a regular file");
  StringRef folder = sys::path::parent_path(destination);
  int descriptor = open(folder.empty() ? "." : folder.str().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor >= 0 && access(descriptorPath(descriptor).c_str(), F_OK) == 0)
    return OutputFile(destination.str(), "", descriptor);
  if (descriptor >= 0)
    close(descriptor); // without /proc it could never get a name
  else if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return cannotWrite(destination, std::error_code(errno, std::generic_category()));
  std::string temporary = temporaryName(destination, getpid());
  sys::fs::remove(temporary); // of a dead process that had our number
  descriptor = open(temporary.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0)
    return cannotWrite(destination, std::error_code(errno, std::generic_category()));
  sys::RemoveFileOnSignal(temporary);
  return OutputFile(destination.str(), temporary, descriptor);
}

OutputFile::~OutputFile() {
  if (descriptor >= 0)
    close(descriptor);
  if (temporary.empty())
    return;
  sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
}

Error OutputFile::write(StringRef contents) {
  raw_fd_ostream stream(descriptor, /*shouldClose=*/false, /*unbuffered=*/true);
  stream << contents;
  std::error_code code = stream.error();
  stream.clear_error();
  return code ? cannotWrite(destination, code) : Error::success();
}

Error OutputFile::keep(bool isProgram) {
  auto failed = [&] { return cannotWrite(destination, std::error_code(errno, std::generic_category())); };
  mode_t mask = umask(0); // the only way to read it
  umask(mask);
  if (fchmod(descriptor, (isProgram ? 0777 : 0666) & ~mask) != 0)
    return failed();
  if (temporary.empty()) {
    // A link cannot replace a file, but a rename can.
    std::string name = temporaryName(destination, getpid());
    sys::fs::remove(name);
    if (linkat(AT_FDCWD, descriptorPath(descriptor).c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return failed();
    temporary = name;
  }
  // Whoever runs the program must not find it open for writing ("text file busy").
  int closed = close(descriptor);
  descriptor = -1;
  if (closed != 0)
    return failed();
  if (std::error_code code = sys::fs::rename(temporary, destination))
    return cannotWrite(destination, code);
  sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
  return Error::success();
}
