//===- RecomputeTest.cpp - Which steps run again -----------------------------===//
// Plans are run on numbers: whatever is read must be what it was without a plan. Programs that tell the best plan by
// themselves (a knapsack, a chain) are compared with it.
//===----------------------------------------------------------------------===//
#include "ds/Memory/Recompute.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace ds;

namespace {

using List = std::vector<unsigned>;

struct Builder : RecomputeProblem {
  unsigned add(int64_t size, bool temporary) {
    bytes.push_back(size);
    overwrittenBy.push_back(-1);
    return program.addBuffer(temporary);
  }
  unsigned argument(int64_t size = 64) { return add(size, false); }
  /// A step that makes a temporary.
  unsigned step(List reads, int64_t size, double takes = 1) {
    unsigned made = add(size, true);
    write(made, std::move(reads), takes, true);
    return made;
  }
  unsigned result(List reads, double takes = 1) {
    unsigned made = add(64, false);
    write(made, std::move(reads), takes, false);
    return made;
  }
  void write(unsigned made, List reads, double takes, bool again) {
    MemoryProgram::Step step;
    step.reads = std::move(reads);
    step.makes = {made};
    program.steps.push_back(step);
    time.push_back(takes);
    repeatable.push_back(again);
  }
  /// Values forward, each of the one before; gradients backward, each of the one behind and a value.
  void chain(unsigned length, int64_t size) {
    List values{argument(size)};
    for (unsigned i = 0; i < length; ++i)
      values.push_back(step({values.back()}, size));
    unsigned gradient = step({values.back()}, size);
    for (unsigned i = length; i-- > 0;)
      gradient = step({gradient, values[i]}, size);
    result({gradient});
  }
};

/// What each step that makes a result reads, as numbers that tell how it came about.
std::vector<uint64_t> run(const RecomputeProblem &problem, const List &order) {
  std::vector<uint64_t> values(problem.bytes.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i * 0x9e3779b97f4a7c15ull + 1;
  std::vector<uint64_t> results;
  for (unsigned number : order) {
    const MemoryProgram::Step &step = problem.program.steps[number];
    uint64_t hash = number + 17;
    for (unsigned read : step.reads)
      hash = (hash ^ values[read]) * 0x100000001b3ull + (hash >> 29);
    for (unsigned made : step.makes) {
      values[made] = hash + made;
      if (!problem.program.isTemporary[made])
        results.push_back(values[made]);
    }
    for (unsigned buffer = 0; buffer < values.size(); ++buffer)
      if (problem.overwrittenBy[buffer] == int64_t(number))
        values[buffer] = hash; // what reads it from here on reads something else
  }
  return results;
}

void expectSound(const RecomputeProblem &problem, const RecomputePlan &plan) {
  EXPECT_EQ(checkRecompute(problem, plan.order), "");
  EXPECT_EQ(run(problem, plan.order), run(problem, planWithout(problem).order));
  MemoryProgram program = programOf(problem, plan.order);
  EXPECT_EQ(checkMemoryPlan(program, planMemory(program)), "");
  double time = 0;
  std::vector<bool> ran(problem.program.steps.size());
  for (unsigned number : plan.order) {
    time += ran[number] ? problem.time[number] : 0;
    ran[number] = true;
  }
  EXPECT_DOUBLE_EQ(plan.time, time);
}

} // namespace

TEST(Recompute, RepeatsNothingWithinTheBudget) {
  Builder b;
  b.chain(5, 1024);
  RecomputePlan without = planWithout(b), plan = planRecompute(b, without.arena);
  EXPECT_EQ(plan.order, without.order);
  EXPECT_EQ(plan.time, 0);
}

// 3 KB for 4 units of time, or 2 KB for 2 and 2 KB for 2.5: what is cheapest by the byte is not the best. Those that
// are read first end first, so that the third has room.
TEST(Recompute, IsExactOnSmallPrograms) {
  Builder b;
  unsigned x = b.argument(), large = b.step({x}, 3072, 4);
  b.result({large});
  unsigned first = b.step({x}, 2048, 2);
  b.result({first});
  unsigned second = b.step({x}, 2048, 2.5);
  b.result({second});
  unsigned middle = b.step({x}, 1024);
  b.result({middle});
  for (unsigned value : {first, second, large})
    b.result({value});
  EXPECT_EQ(planWithout(b).arena, 8192);
  RecomputePlan plan = planRecompute(b, 8192 - 3072);
  expectSound(b, plan);
  EXPECT_LE(plan.arena, 8192 - 3072);
  EXPECT_EQ(plan.time, 4);
}

TEST(Recompute, ChainsNeedTheRootOfTheirLength) {
  for (unsigned length : {16u, 64u, 144u}) {
    Builder b;
    b.chain(length, 1024);
    const unsigned root = unsigned(std::lround(std::sqrt(double(length))));
    // Kept values, those of one part, and the gradients at work.
    const int64_t budget = 1024 * (2 * root + 3);
    RecomputePlan plan = planRecompute(b, budget);
    expectSound(b, plan);
    EXPECT_LE(plan.arena, budget) << length;
    // Each value once more at most, as in parts of the root's length.
    EXPECT_LE(plan.time, 1.5 * length) << length;
  }
}

TEST(Recompute, SaysTheLeastThatItFound) {
  Builder b;
  b.chain(6, 1024);
  RecomputePlan plan = planRecompute(b, 1024);
  expectSound(b, plan);
  EXPECT_GT(plan.arena, 1024);
  EXPECT_LT(plan.arena, planWithout(b).arena);
}

TEST(Recompute, ReadsNothingThatIsOverwritten) {
  // The value is made of a parameter, which is updated before the value is read again.
  Builder b;
  unsigned weight = b.argument(), x = b.argument(), value = b.step({x, weight}, 4096), other = b.step({x}, 4096);
  unsigned updated = b.result({weight});
  b.overwrittenBy[weight] = int64_t(b.program.steps.size()) - 1;
  b.result({other});
  b.result({value});
  EXPECT_NE(updated, value);
  RecomputePlan plan = planRecompute(b, 4096);
  expectSound(b, plan);
  EXPECT_EQ(plan.arena, 8192);
  List wrong = planWithout(b).order;
  wrong.insert(wrong.end() - 1, 0);
  EXPECT_EQ(checkRecompute(b, wrong), "position 4: step 0 reads buffer 0, which is overwritten");
}

TEST(Recompute, WhatMakesResultsRunsOnce) {
  Builder b;
  unsigned x = b.argument(), value = b.step({x}, 4096), other = b.step({x}, 4096);
  b.repeatable[0] = false;
  b.result({other});
  b.result({value});
  RecomputePlan plan = planRecompute(b, 4096);
  expectSound(b, plan);
  EXPECT_EQ(std::count(plan.order.begin(), plan.order.end(), 0u), 1);
  List wrong = planWithout(b).order;
  wrong.push_back(0);
  EXPECT_EQ(checkRecompute(b, wrong), "position 4: step 0 runs twice");
}

TEST(Recompute, MarkedStepsRunAgainFromWhatIsNotMarked) {
  Builder b;
  b.chain(6, 1024); // steps 0 to 5, the loss's gradient 6, then backward
  std::vector<bool> marked(b.program.steps.size());
  for (unsigned step : {1, 2, 4})
    marked[step] = true;
  RecomputePlan plan = planMarked(b, marked, 5);
  expectSound(b, plan);
  EXPECT_LT(plan.arena, planWithout(b).arena);
  List again;
  std::vector<bool> ran(b.program.steps.size());
  for (unsigned step : plan.order) {
    if (ran[step])
      again.push_back(step);
    ran[step] = true;
  }
  EXPECT_EQ(again, (List{4, 1, 2}));
}

// Each value is read by two that the next one reads: 2^60 ways lead to the first.
TEST(Recompute, MarkedDiamondsTakeNoLongerThanTheirSteps) {
  Builder b;
  List values{b.argument(1024)};
  for (unsigned i = 0; i < 60; ++i) {
    unsigned side = b.step({values.back()}, 1024);
    values.push_back(b.step({values.back(), side}, 1024));
  }
  const unsigned boundary = unsigned(b.program.steps.size()) - 1;
  unsigned gradient = b.step({values.back()}, 1024);
  for (unsigned i = 60; i-- > 0;)
    gradient = b.step({gradient, values[i]}, 1024);
  b.result({gradient});
  RecomputePlan plan = planMarked(b, std::vector<bool>(b.program.steps.size(), true), boundary);
  expectSound(b, plan);
  EXPECT_LT(plan.order.size(), 2 * b.program.steps.size());
}

// What a deep network's step looks like, and a budget that no plan meets: the searches end, and tell what is possible.
TEST(Recompute, BudgetsOutOfReachTakeBoundedWork) {
  Builder b;
  List values{b.argument(1024)}, sides;
  unsigned weight = b.argument(1024);
  for (unsigned i = 0; i < 250; ++i) {
    sides.push_back(b.step({values.back(), weight}, 4096));
    unsigned wide = b.step({sides.back(), values[i / 2]}, 2048);
    values.push_back(b.step({values.back(), sides.back(), wide}, 1024));
  }
  unsigned gradient = b.step({values.back()}, 1024);
  for (unsigned i = 250; i-- > 0;)
    gradient = b.step({gradient, values[i], sides[i]}, 1024);
  b.result({gradient});
  RecomputePlan plan = planRecompute(b, 1);
  expectSound(b, plan);
  EXPECT_LT(plan.arena, planWithout(b).arena / 2);
}

TEST(Recompute, StagesHaveArenasOfTheirOwn) {
  Builder b;
  unsigned x = b.argument(), first = b.step({x}, 1024), second = b.step({first}, 64);
  b.step({second}, 2048);
  EXPECT_EQ(planWithout(b).arena, 64 + 2048);
  // The second step reads a size: no launch.
  Builder c;
  x = c.argument();
  first = c.step({x}, 1024);
  c.write(c.argument(), {first}, 0, false);
  c.program.steps.back().isLaunch = false;
  c.step({x}, 2048);
  EXPECT_EQ(planWithout(c).arena, 1024 + 2048);
}

// What is made early and read late runs late, once.
TEST(Recompute, WhatIsReadLateRunsLate) {
  Builder b;
  unsigned x = b.argument(), early = b.step({x}, 4096, 10), large = b.step({x}, 4096);
  b.result({large});
  b.result({early});
  RecomputePlan plan = planRecompute(b, 4096);
  expectSound(b, plan);
  EXPECT_EQ(plan.arena, 4096);
  EXPECT_EQ(plan.order, (List{1, 2, 0, 3}));
  EXPECT_EQ(plan.time, 0);
}

TEST(Recompute, RandomProgramsComputeTheSame) {
  unsigned met = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    auto pick = [&](unsigned count) { return unsigned(random() % count); };
    Builder b;
    List readable;
    for (unsigned i = 0; i < 3; ++i)
      readable.push_back(b.argument());
    const unsigned count = seed % 3 ? 4 + pick(8) : 20 + pick(60);
    for (unsigned i = 0; i < count; ++i) {
      List reads;
      for (unsigned k = 0, all = 1 + pick(3); k < all; ++k) {
        unsigned read = readable[pick(2) ? readable.size() - 1 - pick(std::min<unsigned>(4, readable.size()))
                                         : pick(readable.size())];
        if (std::find(reads.begin(), reads.end(), read) == reads.end())
          reads.push_back(read);
      }
      if (pick(6) == 0) {
        b.result(reads, 1 + pick(5));
        // It may take an argument's memory, which nobody reads any more.
        unsigned argument = pick(3);
        auto at = std::find(readable.begin(), readable.end(), argument);
        if (at != readable.end()) {
          readable.erase(at);
          b.overwrittenBy[argument] = int64_t(b.program.steps.size()) - 1;
        }
      } else {
        readable.push_back(b.step(reads, 64 * (1 + pick(8)), 1 + pick(5)));
        for (unsigned read : reads)
          if (b.program.isTemporary[read] && b.bytes[read] == b.bytes.back() && pick(2))
            b.program.steps.back().inPlace.emplace_back(read, readable.back());
      }
      if (readable.empty())
        break;
    }
    if (!readable.empty())
      b.result({readable.back()});
    const int64_t without = planWithout(b).arena;
    for (int64_t budget : {without * 3 / 4, without / 2}) {
      RecomputePlan plan = planRecompute(b, budget);
      expectSound(b, plan);
      EXPECT_LE(plan.arena, without);
      met += plan.arena <= budget && plan.time > 0;
    }
    if (HasFailure()) {
      ADD_FAILURE() << "seed " << seed;
      break;
    }
  }
  EXPECT_GT(met, 15u);
}
