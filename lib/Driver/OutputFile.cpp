//===- OutputFile.cpp - Whole files or none -------------------------------===//
// Guarantees: see OutputFile.h. Permissions are what the system gives a new file: asking for the umask would change it,
// for all threads, if for a moment.

#include "OutputFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace ds;

static Error cannotWrite(StringRef path, std::error_code code) {
  return createStringError(code, "cannot write '" + path + "': " + code.message());
}

static std::string descriptorPath(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

/// What all temporary names of one process begin with.
static std::string temporaryPrefix(StringRef destination, int pid) {
  return (destination + "." + Twine(pid) + ".").str();
}

/// Another name each time.
static std::string temporaryName(StringRef destination) {
  static std::atomic<unsigned> number;
  return temporaryPrefix(destination, getpid()) + std::to_string(number++) + ".tmp";
}

static std::atomic<bool> removesOnSignals = false;

void OutputFile::removeOnSignals() { removesOnSignals = true; }

Expected<std::string> OutputFile::resolve(StringRef destination) {
  if (!sys::fs::is_symlink_file(destination))
    return destination.str();
  SmallString<128> target;
  if (sys::fs::real_path(destination, target))
    return createStringError(inconvertibleErrorCode(),
                             "cannot write '" + destination + "': it is a link to what does not exist");
  return target.str().str();
}

void OutputFile::removeLeftovers(StringRef given, int pid) {
  Expected<std::string> resolved = resolve(given);
  if (!resolved)
    return consumeError(resolved.takeError());
  StringRef destination = *resolved;
  StringRef folder = sys::path::parent_path(destination);
  std::string prefix = temporaryPrefix(sys::path::filename(destination), pid);
  std::error_code code;
  for (sys::fs::directory_iterator at(folder.empty() ? "." : folder, code), end; !code && at != end; at.increment(code))
    if (StringRef name = sys::path::filename(at->path()); name.starts_with(prefix) && name.ends_with(".tmp"))
      sys::fs::remove(at->path());
}

Expected<OutputFile> OutputFile::create(StringRef given) {
  Expected<std::string> resolved = resolve(given);
  if (!resolved)
    return resolved.takeError();
  StringRef destination = *resolved;
  if (sys::fs::is_directory(destination))
    return createStringError(inconvertibleErrorCode(), "cannot write '" + destination + "': it is a folder");
  sys::fs::file_status status;
  if (!sys::fs::status(destination, status) && sys::fs::exists(status) && !sys::fs::is_regular_file(status))
    return createStringError(inconvertibleErrorCode(), "cannot write '" + destination + "': it is not a regular file");
  StringRef folder = sys::path::parent_path(destination);
  // A program's permissions, less the umask or by the folder's own rules; `keep` takes away what is not wanted.
  constexpr mode_t permissions = 0777;
  int descriptor = open(folder.empty() ? "." : folder.str().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, permissions);
  if (descriptor >= 0 && access(descriptorPath(descriptor).c_str(), F_OK) == 0)
    return OutputFile(destination.str(), "", descriptor);
  if (descriptor >= 0)
    close(descriptor); // without /proc it could never get a name
  else if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return cannotWrite(destination, std::error_code(errno, std::generic_category()));
  std::string temporary;
  do { // names of a dead process that had our number are passed over
    temporary = temporaryName(destination);
    descriptor = open(temporary.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, permissions);
  } while (descriptor < 0 && errno == EEXIST);
  if (descriptor < 0)
    return cannotWrite(destination, std::error_code(errno, std::generic_category()));
  if (removesOnSignals)
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
  struct stat status;
  if (fstat(descriptor, &status) != 0 || (!isProgram && fchmod(descriptor, status.st_mode & 0666) != 0))
    return failed();
  if (temporary.empty()) {
    // A link cannot replace a file, but a rename can.
    std::string source = descriptorPath(descriptor), name;
    int result;
    do {
      name = temporaryName(destination);
      result = linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW);
    } while (result != 0 && errno == EEXIST);
    if (result != 0)
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
