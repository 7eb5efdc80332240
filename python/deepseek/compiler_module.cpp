//===- compiler_module.cpp - The compiler as a Python module --------------===//
// Assumes: the global lock is held on entry.
// Guarantees: the lock is released while a model compiles; every message of the compiler is handed back.
// Declines: turning messages into exceptions and warnings; __init__.py does.
//===----------------------------------------------------------------------===//
#include "ds/Compiler.h"
#include <mutex>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

namespace {

struct Result {
  int code = 0;
  size_t cached = 0;                                         // kernels whose code was known
  std::vector<std::pair<std::string, std::string>> messages; // severity, text
};

const char *nameOf(ds::Severity severity) {
  switch (severity) {
  case ds::Severity::Error:
    return "error";
  case ds::Severity::Warning:
    return "warning";
  case ds::Severity::Remark:
    return "remark";
  case ds::Severity::Note:
    break;
  }
  return "note";
}

using Sizes = std::vector<std::pair<std::string, int64_t>>;
/// Loss, optimizer and schedule as the flags say them, and patterns of parameters that stay.
using Training = std::tuple<std::string, std::string, std::string, std::vector<std::string>>;

Result compile(ds::CompilerSession &session, const std::string &input, const std::string &output,
               const std::string &emit, const std::string &weights, const std::string &target,
               const std::string &targetCpu, int optLevel, bool precise, const Sizes &shapes,
               const std::vector<Sizes> &versions,
               const std::vector<std::pair<std::string, std::vector<int64_t>>> &forced,
               const std::vector<std::string> &customDomains,
               const std::vector<std::pair<std::string, std::string>> &donate, const std::vector<std::string> &optional,
               const std::string &precision, const std::optional<Training> &training, const std::string &memoryBudget,
               const std::vector<std::string> &recompute) {
  nb::gil_scoped_release unlocked;
  Result result;
  std::mutex mutex;
  ds::CompileOptions options;
  options.input = input;
  options.output = output;
  options.emit = emit == "object"       ? ds::EmitKind::Object
                 : emit == "executable" ? ds::EmitKind::Executable
                                        : ds::EmitKind::Library;
  options.weights = weights == "inside"   ? ds::WeightsPlace::Inside
                    : weights == "beside" ? ds::WeightsPlace::Beside
                                          : ds::WeightsPlace::Automatic;
  options.target = target;
  options.targetCpu = targetCpu;
  options.optLevel = optLevel;
  options.precise = precise;
  options.shapes = shapes;
  options.versions = versions;
  for (const auto &[node, values] : forced)
    options.forced.push_back({node, values});
  options.customDomains = customDomains;
  for (const auto &[from, to] : donate)
    options.donations.push_back(from + ":" + to);
  options.optional = optional;
  if (std::string reason = ds::parsePrecision(precision, training.has_value(), options.precision); !reason.empty()) {
    result.code = int(ds::CompileStatus::BadUsage);
    result.messages.emplace_back(nameOf(ds::Severity::Error), reason);
    return result;
  }
  if (training) {
    ds::TrainingOptions &trained = options.training.emplace();
    std::tie(trained.lossText, trained.optimizerText, trained.schedule, options.trained.frozen) = *training;
    options.memory.recomputed = recompute;
    std::string reason = memoryBudget.empty() ? "" : ds::parseMemoryBudget(memoryBudget, options.memory);
    if (reason.empty())
      reason = ds::parseTexts(trained);
    if (!reason.empty()) {
      result.code = int(ds::CompileStatus::BadUsage);
      result.messages.emplace_back(nameOf(ds::Severity::Error), reason);
      return result;
    }
  }
  options.diagnostic = [&](ds::Severity severity, llvm::StringRef message) {
    std::lock_guard<std::mutex> lock(mutex);
    result.messages.emplace_back(nameOf(severity), message.str());
  };
  options.cacheUse = [&](size_t cached, size_t) { result.cached += cached; };
  result.code = int(session.compile(options));
  return result;
}

} // namespace

NB_MODULE(_compiler, m) {
  m.doc() = "Compiles models. Needs LLVM's and MLIR's libraries.";
  m.attr("__version__") = ds::compilerVersion().str();
  nb::class_<Result>(m, "Result")
      .def_ro("code", &Result::code)
      .def_ro("messages", &Result::messages)
      .def_ro("cached", &Result::cached);
  nb::class_<ds::CompilerSession>(m, "Session")
      .def(
          "__init__",
          [](ds::CompilerSession *self, const std::string &folder, bool warns) {
            ds::SessionOptions options;
            options.cacheFolder = folder;
            options.warnsOfCache = warns;
            new (self) ds::CompilerSession(options);
          },
          nb::arg("cache_folder"), nb::arg("warns_of_cache"))
      .def("compile", compile, nb::arg("input"), nb::arg("output"), nb::arg("emit"), nb::arg("weights"),
           nb::arg("target"), nb::arg("target_cpu"), nb::arg("opt_level"), nb::arg("precise"), nb::arg("shapes"),
           nb::arg("versions"), nb::arg("forced"), nb::arg("custom_domains"), nb::arg("donate"), nb::arg("optional"),
           nb::arg("precision"), nb::arg("training").none(), nb::arg("memory_budget"), nb::arg("recompute"));
  m.def("default_cache_folder", ds::defaultCacheFolder);
}
