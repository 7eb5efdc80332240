//===- Recompute.cpp - Which steps run again, so that less memory is held -===//
// Guarantees: see Recompute.h.
// Method: an order of steps is all that there is to a plan. To free a value between two reads is to run its step again
//   before the second one; whatever that step reads is kept, or made again likewise. Of all such changes those that
//   bring most for their time are tried in full. At the end, repetitions that turn out not to be needed are taken back.
//===----------------------------------------------------------------------===//
#include "ds/Memory/Recompute.h"
#include "lib/Memory/Schedule.h"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace ds {

namespace {

/// Changes that are tried in full in each round, and rounds at most.
constexpr size_t kTried = 4, kMostTried = 100, kMostRounds = 2000;
/// Steps that one change repeats at most.
constexpr size_t kMostSteps = 48;
/// How often each step runs at most, on average: what needs more is no plan that anyone waits for.
constexpr size_t kMostRuns = 3;

/// Budgets that are tried to tell how little a program needs.
constexpr int64_t kMostTriesForLeast = 5;

/// What the searches of one plan may do, in steps that are looked at: some seconds.
constexpr int64_t kMostWork = 100'000'000;

/// Sums of what is alive above a level, by blocks of positions.
class Levels {
public:
  explicit Levels(const std::vector<int64_t> &live) : live(live) {
    for (size_t first = 0; first + kBlock <= live.size(); first += kBlock) {
      const auto begin = live.begin() + ptrdiff_t(first), end = begin + kBlock;
      const auto [low, high] = std::minmax_element(begin, end);
      blocks.push_back({*low, *high, std::accumulate(begin, end, int64_t(0))});
    }
  }
  /// Of live - level, from 0 to `most`, at the positions [from, to).
  double above(unsigned from, unsigned to, int64_t level, int64_t most) const {
    double sum = 0;
    for (unsigned at = from; at < to;) {
      if (at % kBlock || at + kBlock > to) {
        sum += double(std::clamp<int64_t>(live[at] - level, 0, most));
        ++at;
        continue;
      }
      const Block &block = blocks[at / kBlock];
      if (block.low >= level + most)
        sum += double(most) * kBlock;
      else if (block.low >= level && block.high <= level + most)
        sum += double(block.sum - level * kBlock);
      else if (block.high > level)
        for (unsigned i = at; i < at + kBlock; ++i)
          sum += double(std::clamp<int64_t>(live[i] - level, 0, most));
      at += kBlock;
    }
    return sum;
  }

private:
  static constexpr unsigned kBlock = 32;
  struct Block {
    int64_t low, high, sum;
  };
  const std::vector<int64_t> &live;
  std::vector<Block> blocks;
};

/// What a change keeps rather than makes again: nothing, what is small beside what it frees, or all.
enum class Keeps { Nothing, Small, All };

struct Change {
  double gain = 0; // of excess, estimated, for a unit of time
  unsigned position = 0;
  std::vector<unsigned> steps; // run before the one at `position`
};

class Search {
public:
  /// `work` is what it may do; it takes what it did off `left`.
  Search(const RecomputeProblem &problem, int64_t budget, int64_t work, int64_t &left)
      : problem(problem), budget(budget), left(left), end(left - work), limit(budget) {
    maker.assign(problem.bytes.size(), kNone);
    refused.resize(problem.bytes.size());
    double all = 0;
    for (unsigned number = 0; number < problem.program.steps.size(); ++number) {
      all += problem.time[number];
      for (unsigned made : problem.program.steps[number].makes)
        maker[made] = number;
    }
    least = all * 1e-6 + 1e-12;
  }

  RecomputePlan run(std::vector<unsigned> order) {
    note(order);
    for (size_t round = 0; round < kMostRounds && left > end; ++round) {
      Schedule schedule(problem, order);
      if (schedule.peak() <= limit) {
        int64_t arena = note(order);
        if (arena <= budget || limit <= 0)
          break;
        // Gaps between the arena's tensors: aim lower.
        limit -= std::max<int64_t>(std::min(arena - budget, limit), 64);
        continue;
      }
      std::vector<unsigned> next = improve(schedule);
      if (next.empty() || next.size() > kMostRuns * problem.program.steps.size())
        break;
      order = std::move(next);
    }
    note(order);
    if (best.arena <= budget)
      takeBack(best.order);
    return best;
  }

private:
  /// Remembers the best plan: within the budget the fastest, otherwise the smallest. Returns its arena.
  int64_t note(const std::vector<unsigned> &order) {
    left -= int64_t(64 * order.size());
    RecomputePlan plan{order, arenaOf(problem, order), Schedule(problem, order).repeatedTime()};
    const bool fits = plan.arena <= budget, fitted = best.arena <= budget;
    if (best.order.empty() || (fits != fitted ? fits : fits ? plan.time < best.time : plan.arena < best.arena))
      best = plan;
    return plan.arena;
  }

  /// What must run before `position` so that `buffer` is made anew there.
  bool collect(const Schedule &schedule, const Levels &levels, unsigned buffer, unsigned position, Keeps keeps,
               int64_t freed, std::vector<unsigned> &steps, double &kept) {
    const unsigned number = maker[buffer];
    left -= 1;
    if (number == kNone || !problem.repeatable[number] || steps.size() >= kMostSteps || left <= end ||
        refused[buffer] == question)
      return false;
    // What cannot be made again is looked at once, whoever reads it.
    const std::vector<unsigned> &reads = problem.program.steps[number].reads;
    const bool readable = std::all_of(reads.begin(), reads.end(), [&](unsigned read) {
      return problem.program.isTemporary[read] ? schedule.copyAt(read, position) != kNone
                                               : schedule.isReadable(read, position);
    });
    if (!readable) {
      refused[buffer] = question;
      return false;
    }
    for (unsigned read : reads) {
      if (!problem.program.isTemporary[read])
        continue;
      const unsigned copy = schedule.copyAt(read, position);
      const Copy &operand = schedule.copies[copy];
      if (operand.last >= position || std::find(steps.begin(), steps.end(), maker[read]) != steps.end())
        continue;
      const bool keep = keeps == Keeps::All || (keeps == Keeps::Small && problem.bytes[read] * 8 <= freed);
      size_t before = steps.size();
      if (!keep && collect(schedule, levels, read, position, keeps, freed, steps, kept))
        continue;
      steps.resize(before);
      const int64_t bytes = problem.bytes[read];
      kept += levels.above(operand.last + 1, position, limit - bytes, bytes);
      left -= (position - operand.last) / 32 + 1;
    }
    steps.push_back(number);
    return true;
  }

  /// The change of most gain for its time, done; empty where none brings any.
  std::vector<unsigned> improve(const Schedule &schedule) {
    std::vector<double> sums(schedule.live.size() + 1); // positions with excess before
    for (size_t at = 0; at < schedule.live.size(); ++at)
      sums[at + 1] = sums[at] + (schedule.live[at] > limit);
    std::vector<Change> changes;
    const Levels levels(schedule.live);
    for (const Copy &copy : schedule.copies)
      for (size_t i = 0; i + 1 < copy.touches.size(); ++i) {
        const unsigned from = copy.touches[i], to = copy.touches[i + 1];
        if (sums[to] - sums[from + 1] <= 0)
          continue;
        const int64_t bytes = problem.bytes[copy.buffer];
        const double freed = levels.above(from + 1, to, limit, bytes);
        left -= (to - from) / 32 + 1;
        for (Keeps keeps : {Keeps::Nothing, Keeps::Small, Keeps::All}) {
          Change change;
          double kept = 0;
          ++question;
          if (!collect(schedule, levels, copy.buffer, to, keeps, bytes, change.steps, kept) || kept >= freed)
            continue;
          double time = least;
          for (unsigned step : change.steps)
            time += problem.time[step];
          // What was made in vain then runs later, and not twice.
          if (i == 0 && problem.program.steps[maker[copy.buffer]].makes.size() == 1)
            time = std::max(least, time - problem.time[maker[copy.buffer]]);
          change.gain = (freed - kept) / time;
          change.position = to;
          if (!changes.empty() && changes.back().position == to && changes.back().steps == change.steps)
            continue;
          changes.push_back(std::move(change));
        }
      }
    std::sort(changes.begin(), changes.end(), [](const Change &x, const Change &y) {
      return std::tie(y.gain, x.position, x.steps) < std::tie(x.gain, y.position, y.steps);
    });
    const double before = schedule.excess(limit), timeBefore = schedule.repeatedTime();
    std::vector<unsigned> result;
    double most = 0;
    size_t tried = 0;
    for (const Change &change : changes) {
      if (tried >= kTried && !result.empty())
        break;
      if (++tried > kMostTried)
        break;
      std::vector<unsigned> order = schedule.order;
      order.insert(order.begin() + change.position, change.steps.begin(), change.steps.end());
      left -= int64_t(4 * order.size());
      Schedule next = withoutUnread(problem, std::move(order));
      const double gain = (before - next.excess(limit)) / std::max(least, least + next.repeatedTime() - timeBefore);
      // Not by a higher peak: what was over the limit in few places would be so for good.
      if (gain > most && next.peak() <= schedule.peak()) {
        most = gain;
        result = std::move(next.order);
      }
    }
    return result;
  }

  /// Without repetitions that the budget does not need, the longest first; each is looked at once.
  void takeBack(const std::vector<unsigned> &planned) {
    // Each entry with its place in the plan, which does not change as others go.
    Schedule schedule(problem, planned);
    std::vector<unsigned> repeated;
    for (unsigned at = 0; at < planned.size(); ++at)
      if (schedule.firstAt[planned[at]] != at)
        repeated.push_back(at);
    std::sort(repeated.begin(), repeated.end(), [&](unsigned x, unsigned y) {
      return std::make_pair(-problem.time[planned[x]], x) < std::make_pair(-problem.time[planned[y]], y);
    });
    std::vector<bool> isOut(planned.size());
    auto rest = [&] {
      std::vector<unsigned> order;
      for (unsigned at = 0; at < planned.size(); ++at)
        if (!isOut[at])
          order.push_back(planned[at]);
      return order;
    };
    for (unsigned at : repeated) {
      if (left <= end)
        break;
      left -= int64_t(16 * planned.size());
      isOut[at] = true;
      std::vector<unsigned> order = rest();
      if (Schedule(problem, order).peak() > budget || arenaOf(problem, order) > budget)
        isOut[at] = false;
    }
    note(withoutUnread(problem, rest()).order);
  }

  const RecomputeProblem &problem;
  const int64_t budget;
  int64_t &left;
  const int64_t end;
  int64_t limit; // of bytes alive: the budget, or less where the arena has gaps
  double least;  // a time that counts as none
  std::vector<unsigned> maker;
  std::vector<size_t> refused; // the last question that a buffer was refused in
  size_t question = 0;
  RecomputePlan best;
};

/// Runs the steps in order and makes again, when it is read, what was not touched for `window` steps: but for what
/// `isKept` says, and what cannot be made again.
class Segments {
public:
  Segments(const RecomputeProblem &problem, unsigned window, std::vector<bool> isKept)
      : problem(problem), window(window), isKept(std::move(isKept)), maker(problem.bytes.size(), kNone),
        touched(problem.bytes.size()) {}

  std::vector<unsigned> run() {
    for (now = 0; now < problem.program.steps.size(); ++now) {
      const MemoryProgram::Step &step = problem.program.steps[now];
      for (unsigned read : step.reads)
        refresh(read);
      order.push_back(now);
      for (unsigned buffer : step.reads)
        touched[buffer] = now;
      for (unsigned made : step.makes) {
        maker[made] = now;
        touched[made] = now;
      }
      for (unsigned buffer = 0; buffer < problem.bytes.size(); ++buffer)
        if (problem.overwrittenBy[buffer] == int64_t(now))
          gone.push_back(buffer);
    }
    return std::move(order);
  }

private:
  bool isThere(unsigned buffer) const {
    if (!problem.program.isTemporary[buffer])
      return std::find(gone.begin(), gone.end(), buffer) == gone.end();
    return isKept[buffer] || now - touched[buffer] <= window || !canRepeat(buffer);
  }
  bool canRepeat(unsigned buffer) const {
    const unsigned number = maker[buffer];
    if (!problem.repeatable[number])
      return false;
    for (unsigned read : problem.program.steps[number].reads)
      if (!problem.program.isTemporary[read] && std::find(gone.begin(), gone.end(), read) != gone.end())
        return false;
    return true;
  }
  void refresh(unsigned buffer) {
    if (!problem.program.isTemporary[buffer] || isThere(buffer))
      return;
    touched[buffer] = now;
    for (unsigned read : problem.program.steps[maker[buffer]].reads)
      refresh(read);
    order.push_back(maker[buffer]);
    for (unsigned made : problem.program.steps[maker[buffer]].makes)
      touched[made] = now;
  }

  const RecomputeProblem &problem;
  const unsigned window;
  std::vector<bool> isKept;
  std::vector<unsigned> maker, touched, gone, order;
  unsigned now = 0;
};

/// `count` parts of the steps up to the peak; kept is what is alive, and soon used, at the narrowest place near each
/// end of a part.
std::vector<unsigned> divide(const RecomputeProblem &problem, const Schedule &whole, unsigned count) {
  const unsigned end = unsigned(std::max_element(whole.live.begin(), whole.live.end()) - whole.live.begin());
  const unsigned window = std::max(1u, end / count);
  std::vector<bool> isKept(problem.bytes.size());
  auto carried = [&](unsigned at, auto &&tell) {
    for (const Copy &copy : whole.copies) {
      auto next = std::upper_bound(copy.touches.begin(), copy.touches.end(), at);
      if (copy.made <= at && next != copy.touches.end() && *next <= at + window)
        tell(copy.buffer);
    }
  };
  for (unsigned part = 1; part < count; ++part) {
    const unsigned middle = part * window;
    unsigned narrowest = middle;
    int64_t fewest = -1;
    for (unsigned at = middle - window / 2; at < std::min(end, middle + window / 2 + 1); ++at) {
      int64_t bytes = 0;
      carried(at, [&](unsigned buffer) { bytes += problem.bytes[buffer]; });
      if (fewest < 0 || bytes < fewest) {
        fewest = bytes;
        narrowest = at;
      }
    }
    carried(narrowest, [&](unsigned buffer) { isKept[buffer] = true; });
  }
  return Segments(problem, window, std::move(isKept)).run();
}

} // namespace

RecomputePlan planWithout(const RecomputeProblem &problem) {
  RecomputePlan plan;
  for (unsigned number = 0; number < problem.program.steps.size(); ++number)
    plan.order.push_back(number);
  plan.arena = arenaOf(problem, plan.order);
  return plan;
}

RecomputePlan planRecompute(const RecomputeProblem &problem, int64_t budget, RecomputePlan start, bool persists) {
  if (start.arena <= budget)
    return start;
  auto better = [&](const RecomputePlan &x, const RecomputePlan &y) {
    const bool fits = x.arena <= budget;
    return fits != (y.arena <= budget) ? fits : fits ? x.time < y.time : x.arena < y.arena;
  };
  start.order = withoutUnread(problem, std::move(start.order)).order;
  int64_t left = kMostWork;
  RecomputePlan best = Search(problem, budget, left / 2, left).run(start.order);
  if (std::vector<unsigned> exact = searchExact(problem, budget); !exact.empty()) {
    exact = withoutUnread(problem, std::move(exact)).order;
    RecomputePlan plan{exact, arenaOf(problem, exact), Schedule(problem, exact).repeatedTime()};
    if (better(plan, best))
      best = plan;
  }
  if (best.arena <= budget || !persists)
    return best;
  // Parts of about the root of the steps, and what the search makes of them.
  const Schedule whole(problem, planWithout(problem).order);
  const unsigned root = std::max(2u, unsigned(std::sqrt(double(problem.program.steps.size()))));
  for (unsigned count : {root, root / 2, 2 * root})
    if (count >= 2)
      if (RecomputePlan plan = Search(problem, budget, left / 3, left).run(divide(problem, whole, count));
          better(plan, best))
        best = plan;
  // The least that can be: budgets between what is asked for and what is known.
  for (int64_t low = budget, tries = 0; best.arena > budget && tries < kMostTriesForLeast; ++tries) {
    const int64_t middle = low + (best.arena - low) / 2;
    RecomputePlan plan = Search(problem, middle, left / 2, left).run(start.order);
    if (plan.arena < best.arena)
      best = plan;
    if (plan.arena > middle)
      low = middle;
  }
  return best;
}

RecomputePlan planRecompute(const RecomputeProblem &problem, int64_t budget) {
  return planRecompute(problem, budget, planWithout(problem));
}

RecomputePlan planMarked(const RecomputeProblem &problem, const std::vector<bool> &marked, unsigned boundary) {
  const unsigned count = unsigned(problem.program.steps.size());
  std::vector<unsigned> maker(problem.bytes.size(), kNone);
  for (unsigned number = 0; number < count; ++number)
    for (unsigned made : problem.program.steps[number].makes)
      maker[made] = number;
  std::vector<bool> isThere(problem.bytes.size(), true), isGone(problem.bytes.size());
  for (unsigned buffer = 0; buffer < maker.size(); ++buffer)
    if (unsigned number = maker[buffer]; number != kNone && number <= boundary && problem.program.isTemporary[buffer])
      isThere[buffer] = !marked[number] || !problem.repeatable[number];
  RecomputePlan plan;
  // Values read by several others are asked about once in a search.
  std::vector<unsigned> searched(maker.size());
  std::vector<bool> answer(maker.size());
  unsigned search = 0;
  auto canMake = [&](auto &&self, unsigned buffer) -> bool {
    if (searched[buffer] == search)
      return answer[buffer];
    searched[buffer] = search;
    const std::vector<unsigned> &reads = problem.program.steps[maker[buffer]].reads;
    return answer[buffer] = std::all_of(reads.begin(), reads.end(), [&](unsigned read) {
             return !isGone[read] && (isThere[read] || self(self, read));
           });
  };
  auto make = [&](auto &&self, unsigned buffer) -> void {
    for (unsigned read : problem.program.steps[maker[buffer]].reads)
      if (!isThere[read])
        self(self, read);
    plan.order.push_back(maker[buffer]);
    for (unsigned made : problem.program.steps[maker[buffer]].makes)
      isThere[made] = true;
  };
  for (unsigned number = 0; number < count; ++number) {
    if (number > boundary)
      for (unsigned read : problem.program.steps[number].reads)
        if (!isThere[read] && (++search, canMake(canMake, read)))
          make(make, read);
    plan.order.push_back(number);
    for (unsigned buffer = 0; buffer < maker.size(); ++buffer)
      if (problem.overwrittenBy[buffer] == int64_t(number))
        isGone[buffer] = true;
  }
  plan.order = withoutUnread(problem, std::move(plan.order)).order;
  plan.arena = arenaOf(problem, plan.order);
  plan.time = Schedule(problem, plan.order).repeatedTime();
  return plan;
}

} // namespace ds
