//===- Supervisor.h - A compilation in a process of its own ---------------===//
// Assumes: called before any thread exists.
// Guarantees: whatever happens to the work (a crash in any thread, an abort, the end of the stack), the caller learns
// of it, with the phase that it happened in. Declines: restarting the work.

#ifndef DS_DRIVER_SUPERVISOR_H
#define DS_DRIVER_SUPERVISOR_H

#include "ds/Compiler.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace ds {

struct SupervisedResult {
  int exitCode = 0;
  /// The signal that ended the work, or 0.
  int signal = 0;
  /// The process that did the work.
  int pid = 0;
  /// The last phase that the work noted.
  std::string phase;
};

/// A compilation under supervision: an internal error or a crash is reported through `options.diagnostic`, with the
/// name of a reproducer file that holds `commandLine` and the IR before the phase that failed. The exit code.
int compileSupervised(const SessionOptions &session, const CompileOptions &options, llvm::StringRef commandLine);

/// Runs `work` in a child process; `work` gets a function to note the phase that begins.
SupervisedResult supervise(llvm::function_ref<int(llvm::function_ref<void(llvm::StringRef)> note)> work);

} // namespace ds

#endif // DS_DRIVER_SUPERVISOR_H
