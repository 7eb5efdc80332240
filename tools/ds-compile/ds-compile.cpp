//===- ds-compile.cpp - Models to programs --------------------------------===//
// Assumes: nothing.  Guarantees: flags become CompileOptions, results become text and an exit code (0 done, 1 bad model
// or file, 2 bad usage, 3 internal error).  Declines: everything else; ds/Compiler.h does the work.

#include "ds/Compiler.h"
#include "ds/Driver/Supervisor.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Option/ArgList.h"
#include "llvm/Option/OptTable.h"
#include "llvm/Option/Option.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace llvm::opt; // what tablegen generates names its flags unqualified

namespace {
enum OptionId {
  OPT_INVALID = 0,
#define OPTION(...) LLVM_MAKE_OPT_ID(__VA_ARGS__),
#include "Options.inc"
#undef OPTION
};
#define OPTTABLE_STR_TABLE_CODE
#include "Options.inc"
#undef OPTTABLE_STR_TABLE_CODE
#define OPTTABLE_PREFIXES_TABLE_CODE
#include "Options.inc"
#undef OPTTABLE_PREFIXES_TABLE_CODE
constexpr opt::OptTable::Info Infos[] = {
#define OPTION(...) LLVM_CONSTRUCT_OPT_INFO(__VA_ARGS__),
#include "Options.inc"
#undef OPTION
};

class Flags : public opt::GenericOptTable {
public:
  Flags() : GenericOptTable(OptionStrTable, OptionPrefixesTable, Infos) {}
};
} // namespace

namespace {
/// One line on a terminal that is overwritten while work goes on; nothing in a pipe.
class ProgressLine {
public:
  explicit ProgressLine(bool enabled) : enabled(enabled) {}
  void show(StringRef phase, size_t done, size_t all) {
    if (!enabled)
      return;
    errs() << "\r\033[K" << phase;
    if (all)
      errs() << ": kernels " << done << " / " << all;
    errs().flush();
    shown = true;
  }
  void clear() {
    if (shown)
      errs() << "\r\033[K";
    shown = false;
  }

private:
  bool enabled, shown = false;
};
} // namespace

static int usage(const Twine &message) {
  errs() << "ds-compile: error: " << message << "; try --help\n";
  return 2;
}

/// The exit code: LLVM would call a full disk its own fatal error.
static int flushOutput() {
  outs().flush();
  std::error_code code = outs().error();
  if (!code)
    return 0;
  outs().clear_error();
  errs() << "ds-compile: error: cannot write to standard output: " << code.message() << '\n';
  return 1;
}

static StringRef label(ds::Severity severity) {
  switch (severity) {
  case ds::Severity::Error:
    return "error: ";
  case ds::Severity::Warning:
    return "warning: ";
  case ds::Severity::Remark:
    return "remark: ";
  case ds::Severity::Note:
    break;
  }
  return "note: ";
}

static void printHelp(const Flags &flags) {
  flags.printHelp(outs(), "ds-compile [options] <model.onnx|model.onnxtxt|model.mlir|->",
                  "ds-compile: compiles a model to a native program");
  std::string phases;
  for (StringRef name : ds::phaseNames())
    phases += (phases.empty() ? "" : ", ") + name.str();
  outs() << "\nPhases: " << phases << "\n\nExit codes: 0 done, 1 bad model or file, 2 bad usage, 3 internal error\n";
}

/// Reads "N=1,x:0=2", the value of `flag`; the reason on failure.
static std::string parseSizes(StringRef flag, StringRef text, ds::NamedSizes &sizes) {
  SmallVector<StringRef> entries;
  text.split(entries, ',');
  for (StringRef entry : entries) {
    auto [name, number] = entry.rsplit('=');
    int64_t size;
    if (name.empty() || number.getAsInteger(10, size) || size < 0)
      return (flag + " expects NAME=SIZE, not '" + entry + "'").str();
    if (any_of(sizes, [&](const auto &other) { return other.first == name; }))
      return (flag + " gives '" + name + "' twice").str();
    sizes.emplace_back(name.str(), size);
  }
  return {};
}

/// Reads --force-static's "node=2,-1": the name may hold '='.
static std::string parseForced(StringRef text, ds::CompileOptions &options) {
  auto [name, list] = text.rsplit('=');
  SmallVector<StringRef> numbers;
  list.split(numbers, ',');
  ds::ForcedNode forced{name.str(), {}};
  for (StringRef number : numbers)
    if (int64_t value; name.empty() || number.getAsInteger(10, value) || value < 0)
      return "--force-static expects NODE=NUMBER,... with numbers that are not negative, not '" + text.str() + "'";
    else
      forced.values.push_back(value);
  if (any_of(options.forced, [&](const ds::ForcedNode &other) { return other.node == name; }))
    return "--force-static gives '" + name.str() + "' twice";
  options.forced.push_back(std::move(forced));
  return {};
}

/// Reads --custom-ops' "com.example,org.other"; the reason on failure.
static std::string parseDomains(StringRef text, ds::CompileOptions &options) {
  SmallVector<StringRef> entries;
  text.split(entries, ',');
  for (StringRef entry : entries) {
    if (entry.empty())
      return "--custom-ops expects names of domains, not '" + text.str() + "'";
    if (entry == "ai.onnx")
      return "--custom-ops cannot name ai.onnx, whose operators are ONNX's own; give yours another domain";
    options.customDomains.push_back(entry.str());
  }
  return {};
}

/// Reads --train and what belongs to it; the reason on failure.
static std::string parseTraining(const opt::InputArgList &args, ds::CompileOptions &options) {
  if (!args.hasArg(OPT_train)) {
    for (auto id :
         {OPT_loss_EQ, OPT_optimizer_EQ, OPT_schedule_EQ, OPT_freeze_EQ, OPT_memory_budget_EQ, OPT_recompute_EQ})
      if (const opt::Arg *arg = args.getLastArg(id))
        return "'" + arg->getSpelling().rtrim('=').str() + "' goes with --train";
    return {};
  }
  ds::TrainingOptions &training = options.training.emplace();
  training.lossText = args.getLastArgValue(OPT_loss_EQ, training.lossText).str();
  training.optimizerText = args.getLastArgValue(OPT_optimizer_EQ, training.optimizerText).str();
  training.schedule = args.getLastArgValue(OPT_schedule_EQ, training.schedule).str();
  options.trained.frozen = args.getAllArgValues(OPT_freeze_EQ);
  options.memory.recomputed = args.getAllArgValues(OPT_recompute_EQ);
  if (const opt::Arg *budget = args.getLastArg(OPT_memory_budget_EQ))
    if (std::string reason = ds::parseMemoryBudget(budget->getValue(), options.memory); !reason.empty())
      return reason;
  if (options.memory.isGiven() && args.hasArg(OPT_no_reuse))
    return "--no-reuse shares no memory, so that --memory-budget and --recompute free none; leave one of them out";
  return ds::parseTexts(training);
}

/// What standard input holds as a file without a name: a model is read more than once. "" and the reason on failure.
static std::string readStandardInput(std::string &reason) {
  int file = memfd_create("model", MFD_CLOEXEC);
  std::vector<char> piece(1 << 20);
  ssize_t count = file < 0 ? -1 : 0;
  while (count >= 0 && (count = ::read(STDIN_FILENO, piece.data(), piece.size())) != 0) {
    if (count < 0 && errno == EINTR)
      count = 0;
    for (ssize_t done = 0, now = 0; count >= 0 && done < count; done += now)
      if ((now = ::write(file, piece.data() + done, size_t(count - done))) < 0)
        count = now = -1;
  }
  if (count < 0) {
    reason = "cannot read the model from standard input: " + std::string(strerror(errno));
    return {};
  }
  return "/proc/self/fd/" + std::to_string(file);
}

int main(int argc, char **argv) {
  // A file that got the number of a closed standard output would be written to.
  if (std::error_code code = sys::Process::FixupStandardFileDescriptors()) {
    errs() << "ds-compile: error: cannot open /dev/null: " << code.message() << '\n';
    return 1;
  }
  Flags flags;
  unsigned missingIndex, missingCount;
  opt::InputArgList args = flags.ParseArgs(ArrayRef(argv + 1, argv + argc), missingIndex, missingCount);
  if (missingCount)
    return usage("'" + StringRef(args.getArgString(missingIndex)) + "' needs a value");
  for (const opt::Arg *arg : args.filtered(OPT_UNKNOWN)) {
    std::string nearest, given = arg->getAsString(args);
    bool close = flags.findNearest(given, nearest) <= 2;
    return usage("unknown flag '" + given + "'" + (close ? "; did you mean '" + nearest + "'?" : std::string()));
  }
  for (const opt::Arg *arg : args)
    if (arg->getNumValues() == 1 && StringRef(arg->getValue()).empty())
      return usage(arg->getOption().getID() == OPT_INPUT ? Twine("the model's name is empty")
                                                         : "'" + arg->getSpelling() + "' needs a value");
  constexpr unsigned repeatable[] = {OPT_INPUT,      OPT_shape,       OPT_specialize_EQ,
                                     OPT_donate_EQ,  OPT_optional_EQ, OPT_force_static_EQ,
                                     OPT_custom_ops, OPT_freeze_EQ,   OPT_recompute_EQ};
  std::map<unsigned, unsigned> counts;
  for (const opt::Arg *arg : args)
    if (unsigned id = arg->getOption().getUnaliasedOption().getID();
        arg->getNumValues() == 1 && !is_contained(repeatable, id) && ++counts[id] == 2)
      return usage("'" + arg->getSpelling().rtrim('=') + "' is given twice");
  if (args.hasArg(OPT_help))
    return printHelp(flags), flushOutput();
  if (args.hasArg(OPT_version)) {
    outs() << "ds-compile " << ds::compilerVersion() << " (LLVM " << LLVM_VERSION_STRING << ")\n";
    return flushOutput();
  }
  std::vector<std::string> inputs = args.getAllArgValues(OPT_INPUT);
  if (inputs.size() != 1)
    return usage(inputs.empty() ? Twine("no model given") : "more than one model given: '" + inputs[1] + "'");

  ds::CompileOptions options;
  options.input = inputs[0];
  options.output = args.getLastArgValue(OPT_o).str();
  options.target = args.getLastArgValue(OPT_target_EQ).str();
  options.targetCpu = args.getLastArgValue(OPT_target_cpu_EQ).str();
  options.precise = args.hasArg(OPT_precise);
  if (std::string reason = parseTraining(args, options); !reason.empty())
    return usage(reason);
  if (std::string reason = ds::parsePrecision(args.getLastArgValue(OPT_precision_EQ, "fp32"),
                                              options.training.has_value(), options.precision);
      !reason.empty())
    return usage(reason);
  options.reuse = !args.hasArg(OPT_no_reuse);
  options.stopAfter = args.getLastArgValue(OPT_stop_after_EQ).str();
  options.savePhases = args.getLastArgValue(OPT_save_phases_EQ).str();
  StringRef emit = args.getLastArgValue(OPT_emit_EQ, "executable");
  if (emit == "library")
    options.emit = ds::EmitKind::Library;
  else if (emit == "object")
    options.emit = ds::EmitKind::Object;
  else if (emit != "executable")
    return usage("--emit=" + emit + " is unknown; expected executable, library or object");
  StringRef weights = args.getLastArgValue(OPT_weights_EQ, "auto");
  if (weights == "inside")
    options.weights = ds::WeightsPlace::Inside;
  else if (weights == "beside")
    options.weights = ds::WeightsPlace::Beside;
  else if (weights != "auto")
    return usage("--weights=" + weights + " is unknown; expected auto, inside or beside");
  StringRef level = args.getLastArgValue(OPT_O, "3");
  if (level.getAsInteger(10, options.optLevel) || options.optLevel < 0 || options.optLevel > 3)
    return usage("-O" + level + " is not an optimization level; expected -O0 to -O3");
  bool verbose = args.hasArg(OPT_verbose);
  ProgressLine line(sys::Process::StandardErrIsDisplayed() && options.stopAfter.empty() && !verbose);
  for (const std::string &text : args.getAllArgValues(OPT_shape))
    if (std::string reason = parseSizes("--shape", text, options.shapes); !reason.empty())
      return usage(reason);
  for (const std::string &text : args.getAllArgValues(OPT_specialize_EQ))
    if (std::string reason = parseSizes("--specialize", text, options.versions.emplace_back()); !reason.empty())
      return usage(reason);
  for (size_t i = 0; i < options.versions.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (std::is_permutation(options.versions[i].begin(), options.versions[i].end(), options.versions[j].begin(),
                              options.versions[j].end()))
        return usage("--specialize gives the same sizes twice: '" + args.getAllArgValues(OPT_specialize_EQ)[i] + "'");
  options.donations = args.getAllArgValues(OPT_donate_EQ);
  options.optional = args.getAllArgValues(OPT_optional_EQ);
  for (const std::string &text : args.getAllArgValues(OPT_force_static_EQ))
    if (std::string reason = parseForced(text, options); !reason.empty())
      return usage(reason);
  if (args.hasArg(OPT_explain_regions))
    options.explain = [&](StringRef text) {
      line.clear();
      outs() << text;
      outs().flush();
    };
  for (const std::string &text : args.getAllArgValues(OPT_custom_ops))
    if (std::string reason = parseDomains(text, options); !reason.empty())
      return usage(reason);
  bool isStandardInput = options.input == "-";
  if (options.output.empty() && options.stopAfter.empty())
    options.output = ds::defaultOutput(isStandardInput ? "model.onnx" : options.input, options.emit);
  if (isStandardInput) {
    std::string reason;
    options.source = readStandardInput(reason);
    options.input = "<stdin>";
    if (options.source.empty()) {
      errs() << "ds-compile: error: " << reason << '\n';
      return 1;
    }
  }

  unsigned errors = 0;
  options.diagnostic = [&](ds::Severity severity, StringRef message) {
    if (severity == ds::Severity::Remark && !verbose)
      return;
    constexpr unsigned MaxErrors = 20;
    if (severity == ds::Severity::Error && ++errors > MaxErrors)
      return;
    line.clear();
    errs() << "ds-compile: " << label(severity) << message << '\n';
  };
  options.progress = [&](StringRef phase, size_t done, size_t all) {
    if (verbose && all == 0)
      errs() << "ds-compile: phase " << phase << '\n';
    line.show(phase, done, all);
  };
  double total = 0;
  if (args.hasArg(OPT_timing))
    options.timing = [&](StringRef phase, double seconds) {
      line.clear();
      total += seconds;
      errs() << format("%9.3f s  ", seconds) << phase << format("  (%.3f s in all)\n", total);
    };
  ds::SessionOptions session;
  if (args.hasArg(OPT_no_cache) && args.hasArg(OPT_cache_dir_EQ))
    return usage("--no-cache and --cache-dir contradict each other");
  if (!args.hasArg(OPT_no_cache))
    session.cacheFolder = args.getLastArgValue(OPT_cache_dir_EQ).str();
  session.warnsOfCache = !session.cacheFolder.empty();
  if (session.cacheFolder.empty() && !args.hasArg(OPT_no_cache))
    session.cacheFolder = ds::defaultCacheFolder();
  StringRef megabytes = args.getLastArgValue(OPT_cache_size_EQ, "512");
  unsigned cacheMegabytes;
  if (megabytes.getAsInteger(10, cacheMegabytes))
    return usage("--cache-size=" + megabytes + " is not a number of megabytes");
  session.cacheBytes = uint64_t(cacheMegabytes) << 20;
  if (args.hasArg(OPT_timing) || verbose)
    options.cacheUse = [&](size_t cached, size_t all) {
      line.clear();
      errs() << "ds-compile: " << cached << " of " << all << " kernels and host programs came from the cache\n";
    };
  std::string command = "ds-compile";
  for (int i = 1; i < argc; ++i)
    command += " " + std::string(argv[i]);
  int code = args.hasArg(OPT_in_process) ? int(ds::CompilerSession(session).compile(options))
                                         : ds::compileSupervised(session, options, command);
  line.clear();
  return code;
}
