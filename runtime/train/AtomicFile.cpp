//===- AtomicFile.cpp - Files that appear whole or not at all --------------===//
// Guarantees: see AtomicFile.h.
//===----------------------------------------------------------------------===//
#include "AtomicFile.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ds::runtime {

void appendFolder(Text &Out, const char *Path) {
  const char *Slash = strrchr(Path, '/');
  if (!Slash)
    Out.append(".");
  else
    Out.append("%.*s", int(Slash == Path ? 1 : Slash - Path), Path);
}

AtomicFile::~AtomicFile() {
  if (!IsDone)
    unlink(Draft.str());
}

bool AtomicFile::create(const char *Path, const char *Temporary) {
  Final.append("%s", Path);
  Draft.append("%s%s", Temporary ? Temporary : Path, Temporary ? "" : ".tmp");
  errno = ENOMEM;
  if (!Final.ok() || !Draft.ok())
    return false;
  Opened.reset(open(Draft.str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666));
  IsDone = !Opened.isOpen();
  return Opened.isOpen();
}

bool AtomicFile::write(const void *Data, size_t Size) { return writeAll(Opened.get(), Data, Size); }

bool AtomicFile::commit() {
  if (fsync(Opened.get()) || close(Opened.take()) || rename(Draft.str(), Final.str()))
    return false;
  IsDone = true;
  // The name, too, must survive a power cut. Some file systems have no such call for folders.
  Text Folder;
  appendFolder(Folder, Final.str());
  File Above(open(Folder.str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return !Above.isOpen() || !fsync(Above.get()) || errno == EINVAL || errno == EROFS;
}

ds_status checkWritable(const char *Path, const char *Flag, ds_error *Error) {
  Text Folder;
  appendFolder(Folder, Path);
  struct stat Info;
  if (stat(Folder.str(), &Info) || (!S_ISDIR(Info.st_mode) && (errno = ENOTDIR)) || access(Folder.str(), W_OK))
    return fail(Error, DS_IO_ERROR, "%s: cannot write to the folder '%s': %s", Flag, Folder.str(), strerror(errno));
  if (!stat(Path, &Info) && !S_ISREG(Info.st_mode)) // a new file would take the place of a device
    return fail(Error, DS_IO_ERROR, "%s: '%s' is %s; give the name of a file", Flag, Path,
                S_ISDIR(Info.st_mode) ? "a folder" : "not a regular file");
  return DS_OK;
}

} // namespace ds::runtime
