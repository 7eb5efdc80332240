//===- Schedule.cpp - What is alive while an order of steps runs ----------===//
// Guarantees: see Schedule.h and Recompute.h.
//===----------------------------------------------------------------------===//
#include "lib/Memory/Schedule.h"
#include "runtime/src/Planner.h"
#include <algorithm>
#include <limits>
#include <map>
#include <queue>

namespace ds {

using Step = MemoryProgram::Step;

Schedule::Schedule(const RecomputeProblem &problem, std::vector<unsigned> steps)
    : problem(problem), order(std::move(steps)), copiesOf(problem.bytes.size()), live(order.size() + 1),
      firstAt(problem.program.steps.size(), kNone) {
  std::vector<unsigned> now(problem.bytes.size(), kNone);
  for (unsigned position = 0; position < order.size(); ++position) {
    const unsigned number = order[position];
    const Step &step = problem.program.steps[number];
    firstAt[number] = std::min(firstAt[number], position);
    for (unsigned read : step.reads)
      if (Copy *copy = now[read] == kNone ? nullptr : &copies[now[read]]; copy && copy->last != position) {
        copy->last = position;
        copy->touches.push_back(position);
      }
    for (unsigned made : step.makes)
      if (problem.program.isTemporary[made]) {
        now[made] = unsigned(copies.size());
        copiesOf[made].push_back(now[made]);
        copies.push_back({made, position, position, {position}});
      }
  }
  // What is made where an operand ends counts from the next position on.
  std::vector<unsigned> begins(copies.size());
  for (size_t i = 0; i < copies.size(); ++i) {
    const Copy &copy = copies[i];
    begins[i] = copy.made;
    const Step &step = problem.program.steps[order[copy.made]];
    for (auto [read, made] : step.inPlace)
      if (made == copy.buffer && problem.program.isTemporary[read])
        if (unsigned operand = copyAt(read, copy.made);
            operand != kNone && copies[operand].last == copy.made && copies[operand].made < copy.made) {
          begins[i] = copy.made + 1;
          break;
        }
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    const int64_t bytes = problem.bytes[copies[i].buffer];
    if (begins[i] > copies[i].last)
      continue;
    live[begins[i]] += bytes;
    live[copies[i].last + 1] -= bytes;
  }
  for (size_t position = 1; position < live.size(); ++position)
    live[position] += live[position - 1];
  live.pop_back();
}

int64_t Schedule::peak() const { return live.empty() ? 0 : *std::max_element(live.begin(), live.end()); }

double Schedule::excess(int64_t limit) const {
  double sum = 0;
  for (int64_t bytes : live)
    sum += double(std::max<int64_t>(0, bytes - limit));
  return sum;
}

unsigned Schedule::copyAt(unsigned buffer, unsigned position) const {
  unsigned found = kNone;
  for (unsigned copy : copiesOf[buffer])
    if (copies[copy].made < position)
      found = copy;
  return found;
}

double Schedule::repeatedTime() const {
  double time = 0;
  for (unsigned position = 0; position < order.size(); ++position)
    if (firstAt[order[position]] != position)
      time += problem.time[order[position]];
  return time;
}

MemoryProgram programOf(const RecomputeProblem &problem, const std::vector<unsigned> &order,
                        std::vector<unsigned> *origins) {
  MemoryProgram result;
  std::vector<unsigned> now(problem.bytes.size());
  if (origins)
    origins->clear();
  auto add = [&](unsigned buffer) {
    now[buffer] = result.addBuffer(problem.program.isTemporary[buffer]);
    if (origins)
      origins->push_back(buffer);
  };
  for (unsigned buffer = 0; buffer < problem.bytes.size(); ++buffer)
    add(buffer);
  std::vector<bool> wasMade(problem.bytes.size());
  for (unsigned number : order) {
    Step step = problem.program.steps[number];
    for (unsigned &read : step.reads)
      read = now[read];
    for (auto &pair : step.inPlace)
      pair.first = now[pair.first];
    for (auto &pair : step.mayAlias)
      pair.second = now[pair.second];
    for (unsigned made : step.makes) {
      if (wasMade[made])
        add(made);
      wasMade[made] = true;
    }
    for (auto &pair : step.inPlace)
      pair.second = now[pair.second];
    for (auto &pair : step.mayAlias)
      pair.first = now[pair.first];
    for (unsigned &made : step.makes)
      made = now[made];
    result.steps.push_back(std::move(step));
  }
  return result;
}

std::vector<unsigned> Schedule::readRuns() const {
  std::vector<unsigned> runs(problem.program.steps.size());
  for (unsigned number : order)
    ++runs[number];
  std::vector<bool> isRead(order.size());
  for (const Copy &copy : copies)
    if (copy.touches.size() > 1)
      isRead[copy.made] = true;
  std::vector<unsigned> rest;
  for (unsigned position = 0; position < order.size(); ++position)
    if (unsigned &count = runs[order[position]]; count > 1 && !isRead[position])
      --count;
    else
      rest.push_back(order[position]);
  return rest;
}

Schedule withoutUnread(const RecomputeProblem &problem, std::vector<unsigned> order) {
  for (;;) {
    Schedule schedule(problem, std::move(order));
    order = schedule.readRuns();
    if (order.size() == schedule.order.size())
      return schedule;
  }
}

int64_t arenaOf(const RecomputeProblem &problem, const std::vector<unsigned> &order) {
  std::vector<unsigned> origins;
  MemoryProgram program = programOf(problem, order, &origins);
  MemoryPlan plan = planMemory(program);
  std::vector<unsigned> stageOf; // of launches
  unsigned now = 0;
  for (unsigned number : order)
    if (problem.program.steps[number].isLaunch)
      stageOf.push_back(now);
    else
      ++now;
  std::map<unsigned, std::vector<unsigned>> buffers;
  for (unsigned buffer = 0; buffer < plan.lifetimes.size(); ++buffer)
    if (plan.lifetimes[buffer])
      buffers[stageOf[size_t(plan.lifetimes[buffer]->first)]].push_back(buffer);
  int64_t all = 0;
  for (auto &[stage, own] : buffers) {
    // As ds-assign-memory numbers them: of equal sizes the runtime places the first one first.
    std::sort(own.begin(), own.end(), [&](unsigned x, unsigned y) {
      return std::make_pair(plan.lifetimes[x]->first, x) < std::make_pair(plan.lifetimes[y]->first, y);
    });
    runtime::Array<runtime::Temporary> temporaries;
    int64_t size = 0;
    if (!temporaries.resize(own.size()))
      return std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i < own.size(); ++i) {
      const Lifetime &life = *plan.lifetimes[own[i]];
      temporaries[i] = {problem.bytes[origins[own[i]]], uint32_t(life.first), uint32_t(life.last), 0};
    }
    if (runtime::planArena(temporaries, size, nullptr))
      return std::numeric_limits<int64_t>::max();
    all += size;
  }
  return all;
}

std::string checkRecompute(const RecomputeProblem &problem, const std::vector<unsigned> &order) {
  const std::vector<Step> &steps = problem.program.steps;
  std::vector<bool> ran(steps.size()), isMade(problem.bytes.size(), false), isGone(problem.bytes.size(), false);
  std::vector<bool> isArgument(problem.bytes.size(), true);
  for (const Step &step : steps)
    for (unsigned made : step.makes)
      isArgument[made] = false;
  std::vector<std::vector<unsigned>> overwrites(steps.size());
  for (unsigned buffer = 0; buffer < problem.bytes.size(); ++buffer)
    if (problem.overwrittenBy[buffer] >= 0)
      overwrites[size_t(problem.overwrittenBy[buffer])].push_back(buffer);
  for (size_t position = 0; position < order.size(); ++position) {
    const unsigned number = order[position];
    const std::string at = "position " + std::to_string(position) + ": step " + std::to_string(number);
    if (number >= steps.size())
      return at + " does not exist";
    if (ran[number] && !problem.repeatable[number])
      return at + " runs twice";
    ran[number] = true;
    for (unsigned read : steps[number].reads)
      if (isGone[read] || !(isArgument[read] || isMade[read]))
        return at + " reads buffer " + std::to_string(read) + (isGone[read] ? ", which is overwritten" : " too early");
    for (unsigned made : steps[number].makes)
      isMade[made] = true;
    for (unsigned buffer : overwrites[number])
      isGone[buffer] = true;
  }
  const auto missing = std::find(ran.begin(), ran.end(), false);
  return missing == ran.end() ? "" : "step " + std::to_string(missing - ran.begin()) + " does not run";
}

namespace {
/// How far the steps' first runs are, and which temporaries are there.
struct State {
  unsigned next;
  uint32_t held;
  bool operator<(const State &other) const { return next != other.next ? next < other.next : held < other.held; }
};
struct Reached {
  double time = std::numeric_limits<double>::infinity();
  State from{0, 0};
  unsigned step = kNone;
};
} // namespace

std::vector<unsigned> searchExact(const RecomputeProblem &problem, int64_t budget) {
  constexpr unsigned kMost = 12;
  const std::vector<Step> &steps = problem.program.steps;
  std::vector<unsigned> bitOf(problem.bytes.size(), kNone), buffers;
  for (const Step &step : steps)
    for (unsigned made : step.makes)
      if (problem.program.isTemporary[made]) {
        bitOf[made] = unsigned(buffers.size());
        buffers.push_back(made);
      }
  if (buffers.size() > kMost || steps.size() > 2 * kMost)
    return {};
  std::vector<int64_t> bytesOf(size_t(1) << buffers.size());
  for (uint32_t held = 1; held < bytesOf.size(); ++held) {
    unsigned bit = unsigned(__builtin_ctz(held));
    bytesOf[held] = bytesOf[held & (held - 1)] + problem.bytes[buffers[bit]];
  }
  auto maskOf = [&](const std::vector<unsigned> &of) {
    uint32_t mask = 0;
    for (unsigned buffer : of)
      mask |= bitOf[buffer] == kNone ? 0 : 1u << bitOf[buffer];
    return mask;
  };
  std::map<State, Reached> reached;
  using Entry = std::pair<double, State>;
  auto later = [](const Entry &x, const Entry &y) { return x.first > y.first; };
  std::priority_queue<Entry, std::vector<Entry>, decltype(later)> queue(later);
  auto reach = [&](const State &to, double time, const State &from, unsigned step) {
    Reached &known = reached[to];
    if (time >= known.time)
      return;
    known = {time, from, step};
    queue.push({time, to});
  };
  reached[{0, 0}].time = 0;
  queue.push({0, {0, 0}});
  while (!queue.empty()) {
    auto [time, state] = queue.top();
    queue.pop();
    if (time > reached[state].time)
      continue;
    if (state.next == steps.size()) {
      std::vector<unsigned> order;
      for (State at = state; reached[at].step != kNone || at.next || at.held; at = reached[at].from)
        if (reached[at].step < steps.size())
          order.push_back(reached[at].step);
      std::reverse(order.begin(), order.end());
      return order;
    }
    for (uint32_t rest = state.held; rest; rest &= rest - 1)
      reach({state.next, state.held & ~(rest & -rest)}, time, state, unsigned(steps.size()));
    for (unsigned number = 0; number <= state.next; ++number) {
      const Step &step = steps[number];
      const bool isFirst = number == state.next;
      if (!isFirst && (!problem.repeatable[number] || !maskOf(step.makes)))
        continue;
      uint32_t reads = maskOf(step.reads), makes = maskOf(step.makes);
      bool readable = (reads & ~state.held) == 0 && (makes & state.held) == 0;
      for (unsigned read : step.reads)
        readable &= problem.overwrittenBy[read] < 0 || problem.overwrittenBy[read] >= int64_t(state.next);
      if (!readable)
        continue;
      const double after = time + (isFirst ? 0 : problem.time[number]);
      const State to{state.next + isFirst, state.held | makes};
      if (bytesOf[to.held] <= budget)
        reach(to, after, state, number);
      // In the memory of an operand that ends here.
      for (auto [read, made] : step.inPlace)
        if (uint32_t bit = maskOf({read}); bit && step.makes.size() == 1 && bytesOf[to.held & ~bit] <= budget)
          reach({to.next, to.held & ~bit}, after, state, number);
    }
  }
  return {};
}

} // namespace ds
