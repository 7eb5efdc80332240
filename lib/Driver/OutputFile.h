//===- OutputFile.h - Whole files or none ---------------------------------===//
// Guarantees: the destination keeps its old contents until `keep`; afterwards it has the new ones. An unkept file
// vanishes.

#ifndef DS_LIB_DRIVER_OUTPUTFILE_H
#define DS_LIB_DRIVER_OUTPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace ds {

class OutputFile {
public:
  /// The name of the temporary file that process `pid` uses for `destination`.
  static std::string temporaryName(llvm::StringRef destination, int pid);
  /// Reserves a temporary file in the destination's folder, so that the final rename cannot cross file systems.
  static llvm::Expected<OutputFile> create(llvm::StringRef destination);
  OutputFile(OutputFile &&other) : destination(std::move(other.destination)), temporary(std::move(other.temporary)) {
    other.temporary.clear();
  }
  OutputFile(const OutputFile &) = delete;
  ~OutputFile();

  llvm::StringRef path() const { return temporary; }
  /// Replaces the file's contents.
  llvm::Error write(llvm::StringRef contents);
  /// Renames it to the destination; `isProgram` gives the permission to run it.
  llvm::Error keep(bool isProgram = false);

private:
  OutputFile(std::string destination, std::string temporary)
      : destination(std::move(destination)), temporary(std::move(temporary)) {}

  std::string destination, temporary;
};

} // namespace ds

#endif // DS_LIB_DRIVER_OUTPUTFILE_H
