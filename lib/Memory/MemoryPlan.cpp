//===- MemoryPlan.cpp - Lifetimes, aliasing and in-place use --------------===//
// Guarantees: see MemoryPlan.h; near-linear in reads and aliases.
//===----------------------------------------------------------------------===//
#include "ds/Memory/MemoryPlan.h"
#include <algorithm>
#include <numeric>

namespace ds {

namespace {

using Step = MemoryProgram::Step;

/// Whether the step reads of the buffer only what it is about to overwrite, whichever result it computes.
bool readsInPlace(const Step &step, unsigned read) {
  return std::all_of(step.makes.begin(), step.makes.end(), [&](unsigned made) {
    return std::find(step.inPlace.begin(), step.inPlace.end(), std::make_pair(read, made)) != step.inPlace.end();
  });
}

/// Classes of buffers that may be one memory, from whichever step on: one that is alive keeps all of them.
class AliasClasses {
public:
  explicit AliasClasses(const MemoryProgram &program) : parent(program.isTemporary.size()) {
    std::iota(parent.begin(), parent.end(), 0u);
    for (const Step &step : program.steps)
      for (auto [made, read] : step.mayAlias)
        parent[find(made)] = find(read);
  }
  unsigned find(unsigned buffer) {
    while (parent[buffer] != buffer)
      buffer = parent[buffer] = parent[parent[buffer]];
    return buffer;
  }

private:
  std::vector<unsigned> parent;
};

/// The step, and as a launch: what the host does keeps memory until the launch before it.
struct Use {
  int64_t step = -1, launch = -1;
};

class Planner {
public:
  Planner(const MemoryProgram &program, bool reuse)
      : program(program), reuse(reuse), classes(program), occupant(program.isTemporary.size()),
        lastUse(program.isTemporary.size()) {
    plan.home.resize(program.isTemporary.size());
    std::iota(plan.home.begin(), plan.home.end(), 0u);
    plan.lifetimes.resize(program.isTemporary.size());
  }

  MemoryPlan run() {
    findLastUses();
    int64_t launch = 0;
    for (size_t index = 0; index < program.steps.size(); ++index) {
      const Step &step = program.steps[index];
      for (unsigned made : step.makes)
        if (program.isTemporary[made])
          place(made, step, index, launch);
      launch += step.isLaunch;
    }
    if (!reuse)
      for (std::optional<Lifetime> &life : plan.lifetimes)
        if (life)
          life->last = std::max<int64_t>(launch - 1, 0);
    return std::move(plan);
  }

private:
  void findLastUses() {
    int64_t launch = 0;
    for (size_t index = 0; index < program.steps.size(); ++index) {
      const Step &step = program.steps[index];
      Use use{static_cast<int64_t>(index), step.isLaunch ? launch : launch - 1};
      for (unsigned buffer : step.reads)
        lastUse[classes.find(buffer)] = use;
      for (unsigned buffer : step.makes)
        lastUse[classes.find(buffer)] = use;
      launch += step.isLaunch;
    }
  }

  void place(unsigned made, const Step &step, int64_t index, int64_t launch) {
    const Use &last = lastUse[classes.find(made)];
    for (auto [read, result] : step.inPlace)
      if (reuse && result == made && canTake(read, step, index)) {
        unsigned home = plan.home[made] = plan.home[read];
        occupant[home] = made;
        plan.lifetimes[home]->last = std::max(plan.lifetimes[home]->last, last.launch);
        return;
      }
    occupant[made] = made;
    plan.lifetimes[made] = Lifetime{launch, std::max(launch, last.launch)};
  }

  /// Whether the memory of `read` holds nothing but what this step reads, and that only where it writes.
  bool canTake(unsigned read, const Step &step, int64_t index) {
    unsigned home = plan.home[read], alive = classes.find(occupant[home]);
    if (!plan.lifetimes[home] || alive != classes.find(read) || lastUse[alive].step != index)
      return false;
    return std::all_of(step.reads.begin(), step.reads.end(),
                       [&](unsigned other) { return classes.find(other) != alive || readsInPlace(step, other); });
  }

  const MemoryProgram &program;
  const bool reuse;
  AliasClasses classes;
  std::vector<unsigned> occupant; // of homes: who wrote it last
  std::vector<Use> lastUse;       // of classes
  MemoryPlan plan;
};

/// Follows which buffer each home holds. A buffer that a call made may lie in several places; those that nobody
/// overwrites do not matter.
class Checker {
public:
  Checker(const MemoryProgram &program, const MemoryPlan &plan)
      : program(program), plan(plan), holds(program.isTemporary.size(), kNothing), places(program.isTemporary.size()) {}

  std::string run() {
    if (plan.home.size() != holds.size() || plan.lifetimes.size() != holds.size())
      return "a plan for another number of buffers";
    int64_t launch = 0;
    for (size_t index = 0; index < program.steps.size(); ++index) {
      const Step &step = program.steps[index];
      const std::string at = "step " + std::to_string(index) + ": ";
      const int64_t now = step.isLaunch ? launch : launch - 1;
      for (unsigned buffer : step.reads)
        for (unsigned owner : places[buffer])
          if (unsigned held = holds[plan.home[owner]]; held != owner)
            return at + "buffer " + std::to_string(buffer) + " is read, but its memory holds buffer " +
                   std::to_string(held);
          else if (!lives(plan.home[owner], now))
            return at + "buffer " + std::to_string(buffer) + " is read when its memory's life is over";
      for (unsigned made : step.makes)
        if (std::string problem = make(made, step, now); !problem.empty())
          return at + problem;
      launch += step.isLaunch;
    }
    return "";
  }

private:
  static constexpr unsigned kNothing = ~0u;

  bool lives(unsigned home, int64_t launch) const {
    const std::optional<Lifetime> &life = plan.lifetimes[home];
    return life && life->first <= launch && launch <= life->last;
  }

  std::string make(unsigned made, const Step &step, int64_t now) {
    const unsigned home = plan.home[made];
    const std::string name = "buffer " + std::to_string(made);
    if (program.isTemporary[home] != program.isTemporary[made] || (!program.isTemporary[made] && home != made))
      return name + " lies in memory that is not ours";
    if (program.isTemporary[made] && !lives(home, now))
      return name + " is made when its memory is not alive";
    for (unsigned other : step.makes)
      if (other != made && plan.home[other] == home)
        return name + " lies where buffer " + std::to_string(other) + " is made as well";
    for (unsigned read : step.reads)
      for (unsigned owner : places[read])
        if (plan.home[owner] == home && !readsInPlace(step, read))
          return name + " overwrites buffer " + std::to_string(read) + " while it is read";
    holds[home] = made;
    if (program.isTemporary[made])
      places[made] = {made};
    for (auto [result, source] : step.mayAlias)
      if (result == made)
        for (unsigned owner : places[source])
          if (std::find(places[made].begin(), places[made].end(), owner) == places[made].end())
            places[made].push_back(owner);
    return "";
  }

  const MemoryProgram &program;
  const MemoryPlan &plan;
  std::vector<unsigned> holds;               // of homes
  std::vector<std::vector<unsigned>> places; // of buffers: the temporaries whose memory it may be
};

} // namespace

MemoryPlan planMemory(const MemoryProgram &program, bool reuse) { return Planner(program, reuse).run(); }

std::string checkMemoryPlan(const MemoryProgram &program, const MemoryPlan &plan) {
  return Checker(program, plan).run();
}

} // namespace ds
