//===- OutputFile.h - Whole files or none ---------------------------------===//
// Guarantees: the destination keeps its old contents until `keep`; afterwards it has the new ones. An unkept file
// vanishes. Any number of threads and processes may write to one name at a time: the last `keep` stays. Nothing of the
// process changes but its open files.

#ifndef DS_LIB_DRIVER_OUTPUTFILE_H
#define DS_LIB_DRIVER_OUTPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace ds {

class OutputFile {
public:
  /// What is written when `destination` is: where it is a link, the file that it leads to, so that the link stays.
  /// Fails if that does not exist.
  static llvm::Expected<std::string> resolve(llvm::StringRef destination);
  /// Reserves a file in the (resolved) destination's folder: one without a name until `keep`, which vanishes however
  /// this process ends, or, where the file system has no such files, one that `removeLeftovers` finds.
  static llvm::Expected<OutputFile> create(llvm::StringRef destination);
  /// From here on signals that end this process remove its temporary files first. For a process that is all ours: it
  /// takes the signals.
  static void removeOnSignals();
  /// Removes what a killed process left beside the destination.
  static void removeLeftovers(llvm::StringRef destination, int pid);
  OutputFile(OutputFile &&other)
      : destination(std::move(other.destination)), temporary(std::move(other.temporary)), descriptor(other.descriptor) {
    other.temporary.clear();
    other.descriptor = -1;
  }
  OutputFile(const OutputFile &) = delete;
  ~OutputFile();

  /// Open for reading and writing.
  int getDescriptor() const { return descriptor; }
  /// Appends to the file.
  llvm::Error write(llvm::StringRef contents);
  /// Puts it at its destination; `isProgram` gives the permission to run it.
  llvm::Error keep(bool isProgram = false);

private:
  OutputFile(std::string destination, std::string temporary, int descriptor)
      : destination(std::move(destination)), temporary(std::move(temporary)), descriptor(descriptor) {}

  std::string destination, temporary; // temporary is empty while the file has no name
  int descriptor;
};

} // namespace ds

#endif // DS_LIB_DRIVER_OUTPUTFILE_H
