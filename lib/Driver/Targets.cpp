//===- Targets.cpp - The machines that a compilation is for ---------------===//
// Guarantees: see Targets.h. A CPU that has all features of another one comes before it, so that a machine takes the
// best
//   code that it can run, whatever the order in the list.
//===----------------------------------------------------------------------===//
#include "Targets.h"
#include "ds/Artifact/Program.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace mlir;

namespace ds {

static std::vector<std::string> checked(const CpuTarget &target) {
  std::vector<std::string> features = artifact::checkedFeatures(target.triple, target.features);
  llvm::sort(features);
  return features;
}

FailureOr<std::vector<Target>> resolveTargets(StringRef cpus, StringRef text, std::string &error) {
  SmallVector<StringRef> names;
  cpus.split(names, ',');
  std::vector<Target> targets;
  std::vector<std::vector<std::string>> needs;
  for (StringRef name : names) {
    if (name.empty() && names.size() > 1) {
      error = "the list of CPUs '" + cpus.str() + "' has an empty name";
      return failure();
    }
    FailureOr<Target> target = Target::resolve(text, name, error);
    if (failed(target))
      return failure();
    targets.push_back(std::move(*target));
    const CpuTarget &last = targets.back().host;
    needs.push_back(checked(last));
    for (size_t i = 0; i + 1 < targets.size(); ++i)
      if (const CpuTarget &other = targets[i].host; other.cpu == last.cpu) {
        error = "the CPU '" + last.cpu + "' is in the list twice" +
                (name == "native" || names[i] == "native" ? " ('native' is it)" : "");
        return failure();
      } else if (needs[i] == needs.back()) {
        error = "the CPUs '" + other.cpu + "' and '" + last.cpu +
                "' have the same features: a machine could not choose between them; leave one out";
        return failure();
      }
  }
  // Wider vectors first; of two sets of features where one holds the other, the larger.
  llvm::sort(targets, [](const Target &left, const Target &right) {
    const CpuTarget &a = left.host, &b = right.host;
    if (a.vectorBytes != b.vectorBytes)
      return a.vectorBytes > b.vectorBytes;
    size_t some = checked(a).size(), others = checked(b).size();
    return some != others ? some > others : a.cpu < b.cpu;
  });
  return targets;
}

} // namespace ds
