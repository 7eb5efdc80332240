//===- Compiler.h - The compiler as a library -----------------------------===//
// Assumes: nothing of MLIR's set-up.
// Guarantees: a whole output file or none; every failure is told to the diagnostic callback in one line. The same model
// and options give the same bytes, whatever a cache holds. Nothing of the process changes: neither its signal handlers,
// umask, working folder, locale nor LLVM's global options.
// Declines: surviving crashes of its own process (`supervise` in ds/Driver/Supervisor.h does, for tools).

#ifndef DS_COMPILER_H
#define DS_COMPILER_H

#include "ds/Import/Options.h"
#include "ds/Memory/Options.h"
#include "ds/Simplify/Versions.h"
#include "ds/Train/Options.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ds {

enum class EmitKind { Executable, Library, Object };

/// Where weights go: into the artifact, or into a safetensors file beside it (`<output>.safetensors`); by default the
/// latter past 2 GB.
enum class WeightsPlace { Automatic, Inside, Beside };

enum class Severity { Error, Warning, Remark, Note };

/// How a compilation ended; the values are the exit codes of ds-compile. BadModel also stands for files that cannot be
/// read or written.
enum class CompileStatus { Success = 0, BadModel = 1, BadUsage = 2, InternalError = 3 };

struct CompileOptions {
  /// A model: `.onnx` (binary), `.onnxtxt` (ONNX's text format) or `.mlir` (ops of ds); of a file of another suffix its
  /// contents tell. Messages have this name.
  std::string input;
  /// The file that holds the model, where that is not its name.
  std::string source;
  /// Where the artifact (or the IR of `stopAfter`, "-" for standard output) goes.
  std::string output;
  EmitKind emit = EmitKind::Executable;
  WeightsPlace weights = WeightsPlace::Automatic;
  /// The machine that the code is for ("aarch64-linux-gnu"), by default this one, and its devices ("cuda:sm_90a"):
  /// [HOST-TRIPLE][,cuda:ARCH]... No code is generated for devices yet: one is bad usage.
  std::string target;
  /// Its CPU; by default this machine's ("native"), or "generic" in a machine of another kind. A list
  /// ("znver4,x86-64-v3") makes code for each: loading chooses.
  std::string targetCpu;
  int optLevel = 3;
  /// Forbids transformations that trade accuracy for speed (Winograd's algorithm for convolutions).
  bool precise = false;
  /// Kernels may work in place, and memory of tensors may be shared. False: a debug switch.
  bool reuse = true;
  /// Sizes of symbolic dimensions: by symbol ("N"), or by input and index ("x:0").
  std::vector<std::pair<std::string, int64_t>> shapes;
  /// Versions for stated sizes, which stand beside the general one.
  std::vector<NamedSizes> versions;
  /// "INPUT:OUTPUT": the output is made in the input's memory (a state that run after run updates).
  std::vector<std::string> donations;
  /// Initializers that are inputs as well, which a run may give: names (one an entry, or several with commas), or "all"
  /// or "none". Empty: the model's form tells. Those that are donated may be given in any case.
  std::vector<std::string> optional;
  /// Set: the artifact is a step that trains the model, and an executable trains it (docs/Training.md).
  std::optional<TrainingOptions> training;
  TrainingImport trained;
  /// What a step of it may hold.
  MemoryOptions memory;
  /// What takes the place of f32.
  Precision precision = Precision::F32;
  /// What the user says of sizes that depend on data.
  std::vector<ForcedNode> forced;
  /// Told, once regions are formed, what depends on data and why (--explain-regions).
  std::function<void(llvm::StringRef text)> explain;
  /// Domains whose nodes, as far as they are nothing that is supported, are operators of the program that runs the
  /// model ("com.example"): `ds_custom_op` of the runtime.
  std::vector<std::string> customDomains;
  /// Ends after the phase of this name and writes the IR to `output`.
  std::string stopAfter;
  /// A folder that gets one numbered file a phase; of several CPUs, each has a folder in there.
  std::string savePhases;

  std::function<void(Severity severity, llvm::StringRef message)> diagnostic;
  /// Told when a phase begins (`done` and `all` 0) and how far it got.
  std::function<void(llvm::StringRef phase, size_t done, size_t all)> progress;
  /// Told how long each phase took.
  std::function<void(llvm::StringRef phase, double seconds)> timing;
  /// Told how many of a program's parts (its kernels and its host program) were compiled before.
  std::function<void(size_t cached, size_t all)> cacheUse;
};

struct SessionOptions {
  /// The folder in which code of kernels outlives the session; other processes may use it at the same time. "": none.
  std::string cacheFolder;
  /// Whether compilations warn where it cannot be used; otherwise they silently go without.
  bool warnsOfCache = true;
  /// How much is kept, in the folder and in memory each; what was not used for the longest time goes first.
  uint64_t cacheBytes = uint64_t(512) << 20;
  /// How many threads all compilations of the session share; 0: one a CPU.
  unsigned threads = 0;
};

/// What compilations have in common: threads, and the code of kernels, by content. A model that was compiled before
/// compiles again without generating code; one in which a layer changed generates that layer's. Any number of threads
/// may compile in one session at the same time (callbacks of one compilation are never called by two threads at once);
/// the session outlives its calls.
class CompilerSession {
public:
  explicit CompilerSession(const SessionOptions &options = {});
  ~CompilerSession();
  CompilerSession(const CompilerSession &) = delete;
  CompilerSession &operator=(const CompilerSession &) = delete;

  /// Compiles the model in the file `options.input` to `options.output`. Blocks.
  CompileStatus compile(const CompileOptions &options);

  /// Compiles a module of ops of ds, as `stopAfter = "import"` prints it, and gives the artifact's bytes to `sink`,
  /// piece by piece, if all went well. The module stays as it was, and may belong to any context that no other thread
  /// changes meanwhile. Of the options, `input` is the name that messages give to the model, and `output` that of an
  /// object file's symbol; weights go inside.
  CompileStatus compile(mlir::ModuleOp module, const CompileOptions &options,
                        llvm::function_ref<void(llvm::StringRef bytes)> sink);

  struct State;

private:
  std::unique_ptr<State> state;
};

/// Compiles the model in a file, in a session of its own, without a cache.
CompileStatus compile(const CompileOptions &options);

/// $XDG_CACHE_HOME/ds or ~/.cache/ds; "" where there is neither.
std::string defaultCacheFolder();

/// The names of the phases, in order.
llvm::ArrayRef<llvm::StringRef> phaseNames();

/// The version of the compiler ("0.1.0").
llvm::StringRef compilerVersion();

/// What `name` alone says of an output's name: the model's name without folder and suffix.
std::string defaultOutput(llvm::StringRef input, EmitKind emit);

} // namespace ds

#endif // DS_COMPILER_H
