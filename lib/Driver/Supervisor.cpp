//===- Supervisor.cpp - A compilation in a process of its own -------------===//
// Assumes: called before any thread exists.
// Guarantees: whatever happens to the work (a crash in any thread, an abort, the end of the stack), the caller learns
// of it, with the phase that it happened in. Declines: restarting the work.

#include "ds/Driver/Supervisor.h"

#include "OutputFile.h"

#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;

ds::SupervisedResult ds::supervise(function_ref<int(function_ref<void(StringRef)>)> work) {
  // One page that both processes see holds the name of the phase.
  constexpr size_t PageBytes = 4096;
  void *page = mmap(nullptr, PageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto *name = page == MAP_FAILED ? nullptr : static_cast<char *>(page);
  auto note = [&](StringRef phase) {
    if (!name)
      return;
    size_t length = std::min(phase.size(), PageBytes - 1);
    std::memcpy(name, phase.data(), length);
    name[length] = 0;
  };
  SupervisedResult result;
  std::fflush(nullptr);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    // What ends the parent ends the work.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
      _exit(128 + SIGTERM);
  }
  if (child <= 0) { // the child, or no process to be had: then the work is done here
    int code = work(note);
    if (child == 0) {
      std::fflush(nullptr);
      _exit(code); // no destructors: the parent's copies are its own
    }
    result.exitCode = code;
    result.pid = getpid();
  } else {
    result.pid = child;
    // Interrupts reach both; the parent waits for the child's own end.
    void (*oldInterrupt)(int) = std::signal(SIGINT, SIG_IGN);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    std::signal(SIGINT, oldInterrupt);
    if (WIFSIGNALED(status))
      result.signal = WTERMSIG(status);
    else
      result.exitCode = WEXITSTATUS(status);
  }
  if (name) {
    result.phase = name;
    munmap(page, PageBytes);
  }
  return result;
}

/// LLVM's fatal errors would exit with the code of a bad model.
static void onFatalError(void *, const char *reason, bool) {
  std::fprintf(stderr, "ds-compile: fatal error: %s\n", reason);
  std::abort();
}

/// Compiles in a child process, which notes each phase as it begins.
static ds::SupervisedResult compileInChild(const ds::SessionOptions &session, const ds::CompileOptions &options) {
  return ds::supervise([&](function_ref<void(StringRef)> note) {
    ds::OutputFile::removeOnSignals();
    remove_fatal_error_handler();
    install_fatal_error_handler(onFatalError);
    ds::CompileOptions noting = options;
    noting.progress = [&](StringRef phase, size_t done, size_t all) {
      if (all == 0)
        note(phase);
      if (options.progress)
        options.progress(phase, done, all);
    };
    return int(ds::CompilerSession(session).compile(noting));
  });
}

/// The IR before `phase`, computed once more in a process of its own; empty if that fails too.
static std::string irBefore(const ds::CompileOptions &options, StringRef phase) {
  ArrayRef<StringRef> names = ds::phaseNames();
  auto [name, cpu] = phase.split(" for "); // one of several CPUs
  const StringRef *at = llvm::find(names, name);
  if (at == names.begin() || at == names.end())
    return {};
  SmallString<128> path;
  if (sys::fs::createTemporaryFile("ds-reproducer", "mlir", path))
    return {};
  ds::CompileOptions shorter;
  shorter.input = options.input;
  shorter.shapes = options.shapes;
  shorter.versions = options.versions;
  shorter.donations = options.donations;
  shorter.optional = options.optional;
  shorter.forced = options.forced;
  shorter.customDomains = options.customDomains;
  shorter.target = options.target;
  shorter.targetCpu = cpu.empty() ? options.targetCpu : cpu.str();
  shorter.optLevel = options.optLevel;
  shorter.precise = options.precise;
  shorter.reuse = options.reuse;
  shorter.stopAfter = (at - 1)->str();
  shorter.output = std::string(path);
  ds::SupervisedResult result = compileInChild({}, shorter);
  std::string text;
  if (result.signal == 0 && result.exitCode == 0)
    if (auto buffer = MemoryBuffer::getFile(path))
      text = (*buffer)->getBuffer().str();
  sys::fs::remove(path);
  ds::OutputFile::removeLeftovers(path, result.pid);
  return text;
}

int ds::compileSupervised(const SessionOptions &session, const CompileOptions &options, StringRef commandLine) {
  SupervisedResult result = compileInChild(session, options);
  if (!options.output.empty())
    OutputFile::removeLeftovers(options.output, result.pid); // of a killed child
  switch (result.signal) {
  case SIGINT:
  case SIGTERM:
  case SIGHUP:
  case SIGQUIT:
  case SIGPIPE: // who read standard output went away
    return 128 + result.signal;
  case SIGKILL:
  case SIGXCPU:
  case SIGXFSZ:
    // No error of the compiler: memory ran out, or a limit was set.
    if (options.diagnostic)
      options.diagnostic(Severity::Error, options.input + ": the compilation was ended in phase " + result.phase +
                                              " by the system (" + strsignal(result.signal) +
                                              "): too little memory, or a limit on time or file size");
    return int(CompileStatus::BadModel);
  }
  if (result.signal == 0 && result.exitCode != int(CompileStatus::InternalError))
    return result.exitCode;

  std::string cause = result.signal ? " (" + std::string(strsignal(result.signal)) + ")" : std::string();
  std::string phase = result.phase.empty() ? "start" : result.phase;
  std::string text = "// ds-compile " + compilerVersion().str() + ": internal error in phase " + phase + cause +
                     "\n// command: " + commandLine.str() +
                     "\n// the program before that phase, large weights left out:\n" + irBefore(options, phase);
  std::string path =
      (options.output.empty() || options.output == "-" ? sys::path::stem(options.input).str() : options.output) +
      ".reproducer.mlir";
  Expected<OutputFile> file = OutputFile::create(path);
  Error error = file ? file->write(text) : file.takeError();
  if (!error)
    error = file->keep();
  std::string advice = error ? "; no reproducer: " + toString(std::move(error)) : "; please report it with " + path;
  if (options.diagnostic)
    options.diagnostic(Severity::Error, "internal error in phase " + phase + cause + advice);
  return int(CompileStatus::InternalError);
}
