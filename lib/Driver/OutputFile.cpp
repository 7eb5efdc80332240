//===- OutputFile.cpp - Whole files or none -------------------------------===//
// Guarantees: the destination keeps its old contents until `keep`; afterwards it has the new ones. An unkept file
// vanishes.

#include "OutputFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace ds;

static Error cannotWrite(StringRef path, std::error_code code) {
  return createStringError(code, "cannot write '" + path + "': " + code.message());
}

std::string OutputFile::temporaryName(StringRef destination, int pid) {
  return (destination + "." + Twine(pid) + ".tmp").str();
}

Expected<OutputFile> OutputFile::create(StringRef destination) {
  if (sys::fs::is_directory(destination))
    return createStringError(inconvertibleErrorCode(), "cannot write '" + destination + "': it is a folder");
  sys::fs::file_status status;
  if (!sys::fs::status(destination, status) && sys::fs::exists(status) && !sys::fs::is_regular_file(status))
    return createStringError(inconvertibleErrorCode(), "cannot write '" + destination + "': it is not a regular file");
  std::string temporary = temporaryName(destination, getpid());
  sys::fs::remove(temporary); // of a dead process that had our number
  int descriptor;
  if (std::error_code code =
          sys::fs::openFileForWrite(temporary, descriptor, sys::fs::CD_CreateNew, sys::fs::OF_None, 0600))
    return cannotWrite(destination, code);
  sys::Process::SafelyCloseFileDescriptor(descriptor);
  sys::RemoveFileOnSignal(temporary);
  return OutputFile(destination.str(), temporary);
}

OutputFile::~OutputFile() {
  if (temporary.empty())
    return;
  sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
}

Error OutputFile::write(StringRef contents) {
  std::error_code code;
  raw_fd_ostream stream(temporary, code);
  if (code)
    return cannotWrite(destination, code);
  stream << contents;
  stream.close();
  if ((code = stream.error())) {
    stream.clear_error();
    return cannotWrite(destination, code);
  }
  return Error::success();
}

Error OutputFile::keep(bool isProgram) {
  mode_t mask = umask(0); // the only way to read it
  umask(mask);
  mode_t mode = (isProgram ? 0777 : 0666) & ~mask;
  if (chmod(temporary.c_str(), mode) != 0)
    return cannotWrite(destination, std::error_code(errno, std::generic_category()));
  if (std::error_code code = sys::fs::rename(temporary, destination))
    return cannotWrite(destination, code);
  sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
  return Error::success();
}
