//===- Compiler.cpp - The compiler as a library ---------------------------===//
// Guarantees: see Compiler.h. Each CPU of a compilation has a context of its own, which ends with it: contexts keep all
// that was ever in them, weights too, and making one takes a millisecond.
// Declines: surviving crashes of its own process.

#include "ds/Compiler.h"

#include "BuildIdentity.h"
#include "KernelStore.h"
#include "OutputFile.h"
#include "Targets.h"
#include "dialects/ds/fold/Elements.h"
#include "dialects/ds/ir/DsDialect.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "ds/Artifact/Link.h"
#include "ds/Driver/Phases.h"
#include "ds/Import/Model.h"
#include "ds/Import/Onnx.h"
#include "ds/InitAll.h"
#include "ds/Regions/Explain.h"
#include "ds/Simplify/Donate.h"
#include "ds/Train/Step.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace ds;

StringRef ds::compilerVersion() { return DS_VERSION; }

ArrayRef<StringRef> ds::phaseNames() {
  static const std::vector<StringRef> names = [] {
    std::vector<StringRef> result{"import"};
    for (const Phase &phase : phases())
      result.push_back(phase.name);
    return result;
  }();
  return names;
}

std::string ds::defaultOutput(StringRef input, EmitKind emit) {
  StringRef stem = sys::path::stem(input);
  std::string name = stem.empty() ? "model" : stem.str();
  if (emit == EmitKind::Library)
    return name + ".so";
  if (emit == EmitKind::Object)
    return name + ".o";
  return name == sys::path::filename(input) ? name + ".out" : name; // never onto the model itself
}

/// What all compilations of a session share.
struct CompilerSession::State {
  explicit State(const SessionOptions &options)
      : threadCount(options.threads), store(usableFolder(options, warning), options.cacheBytes) {
    registerAllDialects(registry);
  }
  static std::string usableFolder(const SessionOptions &options, std::string &warning) {
    if (options.cacheFolder.empty())
      return "";
    std::string problem = buildIdentity().empty() ? "this compiler cannot tell its own build from others"
                                                  : prepareCacheFolder(options.cacheFolder);
    if (problem.empty())
      return options.cacheFolder;
    if (options.warnsOfCache)
      warning = "the cache folder '" + options.cacheFolder + "' is not used: " + problem;
    return "";
  }

  /// The threads of all compilations that run now. None is left when the last of them ends: a process that has a
  /// session may fork.
  std::shared_ptr<DefaultThreadPool> threads() {
    std::lock_guard<std::mutex> lock(mutex);
    std::shared_ptr<DefaultThreadPool> pool = running.lock();
    if (!pool)
      running = pool =
          std::make_shared<DefaultThreadPool>(threadCount ? hardware_concurrency(threadCount) : hardware_concurrency());
    return pool;
  }

  std::mutex mutex;
  std::weak_ptr<DefaultThreadPool> running;
  const unsigned threadCount;
  mlir::DialectRegistry registry;
  std::string warning; // before `store`, which may set it
  KernelStore store;
};

namespace {

/// Where a model comes from and where its artifact goes, if these are no files.
struct InMemory {
  mlir::ModuleOp module;
  function_ref<void(StringRef)> sink;
};

class Compilation {
public:
  Compilation(CompilerSession::State &session, const CompileOptions &options, const InMemory *memory = nullptr)
      : session(session), options(options), memory(memory) {}
  CompileStatus run();

  ~Compilation() {
    if (memoryFile >= 0)
      close(memoryFile);
  }

private:
  CompileStatus checkOptions();
  mlir::OwningOpRef<mlir::ModuleOp> load(mlir::MLIRContext &context);
  mlir::LogicalResult train(mlir::ModuleOp module);
  bool checkExecutable(mlir::ModuleOp module);
  CompileStatus finishPhase(mlir::ModuleOp module, size_t index);
  CompileStatus compileFor(size_t index, mlir::MLIRContext &context, mlir::OwningOpRef<mlir::ModuleOp> &module);
  CompileStatus runPhases(size_t index, mlir::ModuleOp module);
  CompileStatus runOrFix(size_t index, mlir::MLIRContext &context, mlir::OwningOpRef<mlir::ModuleOp> &module);
  mlir::OwningOpRef<mlir::ModuleOp> copyModule(mlir::MLIRContext &context);
  std::string circumstances(const Target &target) const;
  CompileStatus finish();
  void lap(const Twine &phase);
  /// "kernels", or "kernels for znver4" where there are several CPUs.
  std::string nameOf(StringRef phase, size_t index) const {
    return targets.size() == 1 ? phase.str() : (phase + " for " + targets[index].host.cpu).str();
  }
  VariantNames variantNames(size_t index) const {
    auto suffix = [&](size_t number) {
      return number < targets.size() ? "." + targets[number].host.cpu : std::string();
    };
    return {index ? suffix(index) : std::string(), suffix(index + 1)};
  }
  void report(Severity severity, const Twine &message) {
    hadError |= severity == Severity::Error;
    if (held && severity != Severity::Remark) {
      held->emplace_back(severity, message.str());
      return;
    }
    // Every CPU's compilation says the same of the model, and so does one that begins again.
    if (severity != Severity::Error && !told.insert(message.str()).second && (targets.size() > 1 || fixesOptional))
      return;
    if (options.diagnostic)
      options.diagnostic(severity, message.str());
  }
  void forward(mlir::Diagnostic &diagnostic);
  bool stopsAt(StringRef phase) const { return options.stopAfter == phase; }

  CompilerSession::State &session;
  const CompileOptions &options;
  const InMemory *memory;      // null: files
  std::vector<Target> targets; // the most capable first
  std::vector<artifact::Variant> variants;
  std::string bytecode; // of the module in memory
  int memoryFile = -1;
  std::optional<OutputFile> output;
  std::vector<OutputFile> besides;
  std::string phaseFolder; // for the CPU that is compiled for
  std::set<std::string> told;
  std::chrono::steady_clock::time_point clock;
  bool hadError = false, badOptions = false;
  bool hasOptional = false, fixesOptional = false; // inputs that could as well be constants; that they are to be
  std::optional<std::vector<std::pair<Severity, std::string>>> held; // messages that may turn out to be none
  StringRef phase;                                                   // the last one that began
};

} // namespace

/// Begin and end of a text that is longer than anyone reads.
static std::string shortened(std::string text) {
  constexpr size_t kHead = 700, kTail = 250;
  if (text.size() <= 2 * kHead)
    return text;
  auto isInside = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80; }; // a character
  size_t head = kHead, tail = text.size() - kTail;
  while (isInside(head))
    --head;
  while (isInside(tail))
    ++tail;
  return text.substr(0, head) + "[... " + std::to_string(tail - head) + " more ...]" + text.substr(tail);
}

/// Blanks for line breaks, and escapes for control characters and bytes that are no UTF-8: a model's names reach
/// terminals.
static std::string onOneLine(StringRef text) {
  std::string line;
  for (const char *at = text.begin(), *end = text.end(); at != end;) {
    unsigned char c = static_cast<unsigned char>(*at);
    if (isSpace(*at)) {
      if (!line.empty() && line.back() != ' ')
        line += ' ';
      ++at;
      continue;
    }
    unsigned length = c < 0x80 ? 1 : getNumBytesForUTF8(c);
    bool legal = c < 0x80
                     ? isPrint(*at)
                     : length <= unsigned(end - at) && isLegalUTF8Sequence(reinterpret_cast<const UTF8 *>(at),
                                                                           reinterpret_cast<const UTF8 *>(at) + length);
    if (legal)
      line.append(at, length);
    else
      line += "\\x" + toHex(StringRef(at, 1));
    at += legal ? length : 1;
  }
  return shortened(StringRef(line).rtrim().str());
}

/// Text with more weights than this is printed without them.
static constexpr uint64_t kMostPrintedBytes = 1 << 20;

static uint64_t weightBytes(mlir::ModuleOp module) {
  uint64_t bytes = 0;
  auto add = [&](mlir::ElementsAttr value) {
    if (auto view = value ? ElementsView::get(value) : std::nullopt)
      bytes += view->bytes().size();
  };
  module.walk([&](ConstantOp constant) { add(constant.getValue()); });
  for (auto function : module.getOps<mlir::func::FuncOp>())
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      add(function.getArgAttrOfType<mlir::ElementsAttr>(i, kDefaultAttr));
  return bytes;
}

static Severity severityOf(mlir::DiagnosticSeverity severity) {
  switch (severity) {
  case mlir::DiagnosticSeverity::Error:
    return Severity::Error;
  case mlir::DiagnosticSeverity::Warning:
    return Severity::Warning;
  case mlir::DiagnosticSeverity::Remark:
    return Severity::Remark;
  case mlir::DiagnosticSeverity::Note:
    break;
  }
  return Severity::Note;
}

/// One line: the node of the model, or the place in a text file, where the message does not name it already.
void Compilation::forward(mlir::Diagnostic &diagnostic) {
  std::string message = onOneLine(diagnostic.str());
  if (!StringRef(message).starts_with("node '")) {
    if (std::optional<NodeName> node = getNodeName(diagnostic.getLocation()))
      message = "node '" + node->name + "' (" + node->opType + "): " + message;
    else if (auto place = diagnostic.getLocation()->findInstanceOf<mlir::FileLineColLoc>())
      message =
          (place.getFilename().getValue() +
           (place.getLine() ? ":" + Twine(place.getLine()) + ":" + Twine(place.getColumn()) + ": " : ": ") + message)
              .str();
    else
      message = options.input + ": " + message;
  }
  report(severityOf(diagnostic.getSeverity()), message);
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    if (StringRef(note.str()).take_front(18) != "see current operat") // prints the whole op, weights and all
      report(Severity::Note, onOneLine(note.str()));
}

CompileStatus Compilation::checkOptions() {
  auto usage = [&](const Twine &message) {
    report(Severity::Error, message);
    return CompileStatus::BadUsage;
  };
  if (!options.stopAfter.empty() && !is_contained(phaseNames(), options.stopAfter))
    return usage("there is no phase '" + options.stopAfter + "'; the phases are " + join(phaseNames(), ", "));
  std::string reason;
  mlir::FailureOr<std::vector<Target>> resolved = resolveTargets(options.targetCpu, options.target, reason);
  if (failed(resolved))
    return usage(reason);
  targets = std::move(*resolved);
  if (reason = targets.front().whyNoCode(); !reason.empty())
    return usage(reason);
  for (Target &target : targets)
    target.host.optLevel = options.optLevel;
  if (targets.size() > 1 && !options.stopAfter.empty())
    return usage("--stop-after prints the program for one CPU, not for '" + options.targetCpu + "'; name one");
  if (memory && !options.stopAfter.empty())
    return usage("stopAfter prints the program of a file; a module in memory is printed by MLIR");
  // Hard links to one file are fine: the output replaces a name, not a file.
  SmallString<128> model, output;
  if (!memory && !options.output.empty() && !sys::fs::real_path(options.input, model) &&
      !sys::fs::real_path(options.output, output) && model == output)
    return usage("the output '" + options.output + "' is the model itself; write to another file");
  if (options.stopAfter.empty())
    if (reason = artifact::missingLinkFiles(targets.front().host.triple); !reason.empty()) {
      report(Severity::Error, reason);
      return CompileStatus::BadModel;
    }
  return CompileStatus::Success;
}

/// By bytecode: phases change a module and free weights, which is not the caller's loss.
mlir::OwningOpRef<mlir::ModuleOp> Compilation::copyModule(mlir::MLIRContext &context) {
  if (bytecode.empty()) {
    raw_string_ostream stream(bytecode);
    if (failed(mlir::writeBytecodeToFile(memory->module, stream)))
      return {};
  }
  return mlir::parseSourceString<mlir::ModuleOp>(bytecode, mlir::ParserConfig(&context), options.input);
}

mlir::OwningOpRef<mlir::ModuleOp> Compilation::load(mlir::MLIRContext &context) {
  if (memory)
    return copyModule(context);
  ImportOptions importOptions{options.shapes, &badOptions, options.customDomains};
  importOptions.optional = fixesOptional ? std::vector<std::string>{"none"} : options.optional;
  importOptions.donations = options.donations;
  importOptions.hasOptional = &hasOptional;
  importOptions.training = options.training ? &options.trained : nullptr;
  for (const ForcedNode &forced : options.forced)
    if (forced.values.size() == 1)
      importOptions.branches.push_back({forced.node, forced.values[0] != 0});
  return importModelFile(context, options.source.empty() ? options.input : options.source, options.input,
                         importOptions);
}

/// The step is made of the model with known shapes: rules of derivatives read them.
mlir::LogicalResult Compilation::train(mlir::ModuleOp module) {
  mlir::PassManager passes(module.getContext());
  buildPreparation(passes);
  if (failed(passes.run(module)) || failed(makeTrainingStep(module, *options.training, options.precision))) {
    if (!hadError)
      report(Severity::Error, "the model cannot be trained");
    return mlir::failure();
  }
  return mlir::success();
}

CompileStatus Compilation::finishPhase(mlir::ModuleOp module, size_t index) {
  StringRef phase = phaseNames()[index];
  bool stops = stopsAt(phase);
  if (!stops && phaseFolder.empty())
    return CompileStatus::Success;
  std::string text;
  raw_string_ostream stream(text);
  // Small models are printed whole, so that their text compiles again. Of others the weights stay out; without the
  // local scope MLIR would write out every weight before it leaves it out.
  mlir::OpPrintingFlags flags;
  if (weightBytes(module) > kMostPrintedBytes)
    flags.elideLargeElementsAttrs(64).useLocalScope();
  module->print(stream, flags);
  stream << '\n';
  auto write = [&](StringRef path) {
    if (path == "-") {
      outs() << text;
      outs().flush();
      if (std::error_code code = outs().error()) {
        outs().clear_error();
        report(Severity::Error, "cannot write to standard output: " + code.message());
      }
      return !hadError;
    }
    Expected<OutputFile> file = OutputFile::create(path);
    Error error = file ? file->write(text) : file.takeError();
    if (!error)
      error = file->keep();
    if (error)
      report(Severity::Error, toString(std::move(error)));
    return !hadError;
  };
  if (!phaseFolder.empty()) {
    SmallString<128> path(phaseFolder);
    if (std::error_code code = sys::fs::create_directories(path)) {
      report(Severity::Error, "cannot make the folder '" + phaseFolder + "': " + code.message());
      return CompileStatus::BadModel;
    }
    std::string number = std::to_string(index + 1);
    sys::path::append(path, std::string(number.size() < 2 ? "0" : "") + number + "-" + phase + ".mlir");
    if (!write(path))
      return CompileStatus::BadModel;
  }
  return !stops || write(options.output.empty() ? StringRef("-") : StringRef(options.output)) ? CompileStatus::Success
                                                                                              : CompileStatus::BadModel;
}

void Compilation::lap(const Twine &phase) {
  auto now = std::chrono::steady_clock::now();
  if (options.timing)
    options.timing(phase.str(), std::chrono::duration<double>(now - clock).count());
  clock = now;
}

/// What a kernel's code depends on beside its text. A line each; Compiling.md lists them.
std::string Compilation::circumstances(const Target &target) const {
  const CpuTarget &host = target.host;
  std::string text;
  raw_string_ostream stream(text);
  stream << "ds " << compilerVersion() << "\nbuild " << buildIdentity() << "\nLLVM " << LLVM_VERSION_STRING
         << "\ntarget " << host.triple << "\ncpu " << host.cpu << "\nfeatures " << host.features << "\nvectors "
         << host.vectorBytes << " " << host.vectorRegisters << "\nlevel " << host.optLevel << "\nprecise "
         << options.precise << "\n";
  for (const DeviceTarget &device : target.devices)
    stream << "device " << device.str() << "\n";
  return text;
}

/// Options of LLVM that a program around the compiler was given (`-mllvm` and the like) change code, and what they were
/// set to cannot be asked for: such a process neither takes nor leaves code.
static bool hasLLVMOptions() {
  return any_of(cl::getRegisteredOptions(), [](const auto &entry) { return entry.second->getNumOccurrences() != 0; });
}

CompileStatus Compilation::runPhases(size_t target, mlir::ModuleOp module) {
  ProgramKernels kernels(session.store, circumstances(targets[target]));
  // Whoever looks at the IR sees all of it.
  const bool usesCache = options.stopAfter.empty() && options.savePhases.empty() && !hasLLVMOptions();
  for (auto [index, phase] : enumerate(phases())) {
    std::string name = nameOf(phase.name, target);
    this->phase = phase.name;
    if (options.progress)
      options.progress(name, 0, 0);
    PhaseContext phaseContext{options,
                              targets[target],
                              variantNames(target),
                              variants,
                              output ? output->getDescriptor() : memoryFile,
                              besides,
                              {},
                              usesCache ? &kernels : nullptr};
    phaseContext.progress = [&](size_t done, size_t all) {
      if (options.progress)
        options.progress(name, done, all);
    };
    mlir::LogicalResult outcome = mlir::success();
    if (phase.passes) {
      mlir::PassManager passes(module.getContext());
      phase.passes->build(passes, {phaseContext.target, options.precise, options.forced, phaseContext.kernels,
                                   options.reuse, options.memory.isGiven() ? &options.memory : nullptr});
      outcome = passes.run(module);
    }
    if (succeeded(outcome) && phase.run)
      outcome = phase.run(module, phaseContext);
    if (failed(outcome) || hadError) {
      if (!hadError)
        report(Severity::Error, "phase " + name + " failed without a reason");
      return phase.judgesModel ? CompileStatus::BadModel : CompileStatus::InternalError;
    }
    if (phase.name == "regions" && options.explain && target == 0)
      options.explain(explainRegions(module));
    lap(name);
    if (CompileStatus status = finishPhase(module, index + 1); status != CompileStatus::Success || stopsAt(phase.name))
      return status;
  }
  if (options.cacheUse)
    options.cacheUse(kernels.foundCount(), kernels.count());
  return CompileStatus::Success;
}

/// All phases for CPU number `index`. What is folded and packed for one is none of the others' business: each has a
/// context of its own.
CompileStatus Compilation::compileFor(size_t index, mlir::MLIRContext &context,
                                      mlir::OwningOpRef<mlir::ModuleOp> &module) {
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    forward(diagnostic);
    return mlir::success();
  });
  phaseFolder = options.savePhases;
  if (!phaseFolder.empty() && targets.size() > 1)
    phaseFolder += "/" + targets[index].host.cpu;
  if (options.progress)
    options.progress(nameOf("import", index), 0, 0);
  module = load(context);
  if (!module) {
    if (!hadError)
      report(Severity::Error, "the model cannot be imported");
    return badOptions ? CompileStatus::BadUsage : CompileStatus::BadModel;
  }
  if (options.precision == Precision::F64)
    widenFloats(*module);
  if (options.training && failed(train(*module)))
    return CompileStatus::BadModel;
  std::string unfit;
  if (failed(addDonations(*module, options.donations, unfit))) {
    report(Severity::Error, "--donate: " + unfit);
    return CompileStatus::BadUsage;
  }
  if (failed(addVersions(*module, options.versions, unfit))) {
    report(Severity::Error, "--specialize: " + unfit);
    return CompileStatus::BadUsage;
  }
  lap(nameOf("import", index));
  if (CompileStatus status = finishPhase(*module, 0); status != CompileStatus::Success || stopsAt("import"))
    return status;
  if (!output && memoryFile < 0 && options.stopAfter.empty()) {
    if (options.emit == EmitKind::Executable && !checkExecutable(*module))
      return CompileStatus::BadModel;
    if (memory) {
      memoryFile = memfd_create("artifact", MFD_CLOEXEC);
      if (memoryFile < 0) {
        report(Severity::Error, "cannot make a file in memory: " + std::generic_category().message(errno));
        return CompileStatus::BadModel;
      }
      return runOrFix(index, context, module);
    }
    Expected<OutputFile> file = OutputFile::create(options.output);
    if (!file) {
      report(Severity::Error, toString(file.takeError()));
      return CompileStatus::BadModel;
    }
    output.emplace(std::move(*file));
  }
  return runOrFix(index, context, module);
}

/// "'a', 'b'": inputs that a run may leave out, and that no output takes the memory of.
static std::string optionalInputs(mlir::ModuleOp module) {
  std::string names;
  for (auto function : module.getOps<mlir::func::FuncOp>())
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (function.getArgAttr(i, kDefaultAttr) && !function.getArgAttr(i, kDonateAttr))
        names += (names.empty() ? "'" : ", '") + function.getArgAttrOfType<mlir::StringAttr>(i, kNameAttr).str() + "'";
  return names;
}

/// What import can tell of an initializer that cannot be an input, it told. What only a later phase finds makes
/// constants of all of them: every CPU's program must have the same inputs, so that the first one decides.
CompileStatus Compilation::runOrFix(size_t index, mlir::MLIRContext &context,
                                    mlir::OwningOpRef<mlir::ModuleOp> &module) {
  if (!hasOptional || fixesOptional || index)
    return runPhases(index, *module);
  const std::string names = optionalInputs(*module);
  held.emplace();
  CompileStatus status = runPhases(index, *module);
  std::vector<std::pair<Severity, std::string>> messages = std::move(*held);
  held.reset();
  auto first = llvm::find_if(messages, [](const auto &each) { return each.first == Severity::Error; });
  if (status != CompileStatus::BadModel || phase == phaseNames().back() || first == messages.end()) {
    for (const auto &[severity, message] : messages)
      report(severity, message);
    return status;
  }
  hadError = false;
  fixesOptional = true;
  report(Severity::Warning, "the inputs " + names + " are fixed in the program, with the initializers of these names " +
                                "as their values: " + first->second);
  module = nullptr;
  return compileFor(index, context, module);
}

/// An executable has no operators beside the compiled ones and the runtime's own.
bool Compilation::checkExecutable(mlir::ModuleOp module) {
  module.walk([&](CustomOp op) {
    if (!hadError && op.getDomain() != kStringDomain)
      report(Severity::Error, describeNode(op) + ": an executable has no operators of its own; compile the model with "
                                                 "--emit=library or --emit=object for the program that has this one");
  });
  return !hadError;
}

CompileStatus Compilation::run() {
  if (CompileStatus status = checkOptions(); status != CompileStatus::Success)
    return status;
  if (!session.warning.empty())
    report(Severity::Warning, session.warning);
  clock = std::chrono::steady_clock::now();
  std::shared_ptr<DefaultThreadPool> threads = session.threads();
  // All live until the last one is done: they hold the weights.
  std::vector<std::unique_ptr<mlir::MLIRContext>> contexts;
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> modules(targets.size());
  for (size_t index = 0; index < targets.size(); ++index) {
    contexts.push_back(std::make_unique<mlir::MLIRContext>(session.registry, mlir::MLIRContext::Threading::DISABLED));
    contexts.back()->setThreadPool(*threads);
    contexts.back()->loadDialect<DsDialect, mlir::func::FuncDialect>();
    if (CompileStatus status = compileFor(index, *contexts.back(), modules[index]); status != CompileStatus::Success)
      return status;
  }
  session.store.trim();
  return options.stopAfter.empty() ? finish() : CompileStatus::Success;
}

/// Makes the artifact appear.
CompileStatus Compilation::finish() {
  auto fail = [&](const Twine &message) {
    report(Severity::Error, message);
    return CompileStatus::BadModel;
  };
  if (memory) {
    std::vector<char> piece(1 << 20);
    for (off_t at = 0;;) {
      ssize_t got = pread(memoryFile, piece.data(), piece.size(), at);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return fail("cannot read the artifact in memory: " + std::generic_category().message(errno));
      if (got == 0)
        return CompileStatus::Success;
      memory->sink(StringRef(piece.data(), size_t(got)));
      at += got;
    }
  }
  // The artifact last: it says what the others must be.
  Error error = Error::success();
  for (OutputFile &file : besides)
    if (!error)
      error = file.keep();
  if (!error)
    error = output->keep(options.emit == EmitKind::Executable);
  return error ? fail(toString(std::move(error))) : CompileStatus::Success;
}

CompilerSession::CompilerSession(const SessionOptions &options) : state(std::make_unique<State>(options)) {}
CompilerSession::~CompilerSession() = default;

CompileStatus CompilerSession::compile(const CompileOptions &options) {
  // Files beside the output go by the name of what is written.
  Expected<std::string> output = OutputFile::resolve(options.output);
  if (!output || *output == options.output) {
    consumeError(output.takeError());
    return Compilation(*state, options).run();
  }
  CompileOptions resolved = options;
  resolved.output = *output;
  return Compilation(*state, resolved).run();
}

CompileStatus CompilerSession::compile(mlir::ModuleOp module, const CompileOptions &options,
                                       function_ref<void(StringRef)> sink) {
  CompileOptions inside = options;
  inside.weights = WeightsPlace::Inside;
  if (inside.output.empty())
    inside.output = "model";
  InMemory memory{module, sink};
  return Compilation(*state, inside, &memory).run();
}

CompileStatus ds::compile(const CompileOptions &options) { return CompilerSession().compile(options); }

std::string ds::defaultCacheFolder() {
  // By the XDG base directory specification: a relative folder counts as none.
  if (const char *folder = std::getenv("XDG_CACHE_HOME"); folder && *folder == '/')
    return std::string(folder) + "/ds";
  if (const char *home = std::getenv("HOME"); home && *home == '/')
    return std::string(home) + "/.cache/ds";
  return "";
}
