//===- MemoryPlanTest.cpp - Lifetimes and in-place use, case by case --------===//
#include "ds/Memory/MemoryPlan.h"
#include <gtest/gtest.h>

using namespace ds;

namespace {

using List = std::vector<unsigned>;

/// Buffers 0, 1, ... in the order that they are added in.
struct Builder : MemoryProgram {
  unsigned fixed() { return addBuffer(false); }
  unsigned temporary() { return addBuffer(true); }
  /// A kernel that makes a temporary; `inPlace` are reads that it may take the place of.
  unsigned launch(List reads, List inPlace = {}) {
    unsigned made = temporary();
    write(made, reads, inPlace);
    return made;
  }
  void write(unsigned made, List reads, List inPlace = {}) {
    Step step;
    step.reads = std::move(reads);
    step.makes = {made};
    for (unsigned read : inPlace)
      step.inPlace.emplace_back(read, made);
    steps.push_back(std::move(step));
  }
  void read(List reads) {
    Step step;
    step.isLaunch = false;
    step.reads = std::move(reads);
    steps.push_back(std::move(step));
  }
  /// What the host makes and may be any of `sources`.
  unsigned call(List reads, List sources) {
    unsigned made = fixed();
    Step step;
    step.isLaunch = false;
    step.reads = std::move(reads);
    step.makes = {made};
    for (unsigned source : sources)
      step.mayAlias.emplace_back(made, source);
    steps.push_back(std::move(step));
    return made;
  }
  MemoryPlan plan(bool reuse = true) const {
    MemoryPlan plan = planMemory(*this, reuse);
    EXPECT_EQ(checkMemoryPlan(*this, plan), "");
    return plan;
  }
};

Lifetime lives(const MemoryPlan &plan, unsigned buffer) { return plan.lifetimes[buffer].value_or(Lifetime{-1, -1}); }

} // namespace

TEST(MemoryPlan, TemporariesLiveFromTheirFirstWriteToTheirLastRead) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({x}), d = b.launch({a});
  b.launch({c, d});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(lives(plan, a), (Lifetime{0, 2}));
  EXPECT_EQ(lives(plan, c), (Lifetime{1, 3}));
  EXPECT_EQ(lives(plan, d), (Lifetime{2, 3}));
  EXPECT_FALSE(plan.lifetimes[x]);
}

TEST(MemoryPlan, WhatNobodyReadsLivesForItsLaunch) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({x});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(lives(plan, a), (Lifetime{0, 0}));
  EXPECT_EQ(lives(plan, c), (Lifetime{1, 1}));
}

TEST(MemoryPlan, AKernelTakesThePlaceOfWhatDiesThere) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a}, {a}), d = b.launch({c}, {c});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[c], a);
  EXPECT_EQ(plan.home[d], a);
  EXPECT_EQ(lives(plan, a), (Lifetime{0, 2}));
  EXPECT_FALSE(plan.lifetimes[c]);
}

TEST(MemoryPlan, AKernelOfTwoResultsTakesTwoPlaces) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({x}), y = b.temporary(), z = b.temporary();
  MemoryProgram::Step step;
  step.reads = {a, c};
  step.makes = {y, z};
  step.inPlace = {{a, y}, {a, z}, {c, y}, {c, z}};
  b.steps.push_back(step);
  b.read({y, z});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[y], a);
  EXPECT_EQ(plan.home[z], c);
}

TEST(MemoryPlan, NotOfWhatIsReadLater) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a}, {a});
  b.launch({a, c});
  EXPECT_EQ(b.plan().home[c], c);
}

TEST(MemoryPlan, NotOfWhatTheHostReadsAfterwards) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a}, {a});
  b.read({a});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[c], c);
  EXPECT_EQ(lives(plan, a), (Lifetime{0, 1}));
}

TEST(MemoryPlan, OfWhatTheHostReadBefore) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x});
  b.read({a});
  unsigned c = b.launch({a}, {a});
  EXPECT_EQ(b.plan().home[c], a);
}

TEST(MemoryPlan, TheHostKeepsWhatItReadsUntilTheLaunchBefore) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x});
  b.launch({x});
  b.read({a});
  b.launch({x});
  EXPECT_EQ(lives(b.plan(), a), (Lifetime{0, 1}));
}

TEST(MemoryPlan, NotOfMemoryThatIsNotOurs) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}, {x});
  EXPECT_EQ(b.plan().home[a], a);
  unsigned r = b.call({a}, {}), c = b.launch({r}, {r});
  EXPECT_EQ(b.plan().home[c], c);
}

TEST(MemoryPlan, OutputsAreWrittenWhereTheyAre) {
  Builder b;
  unsigned x = b.fixed(), y = b.fixed(), a = b.launch({x});
  b.write(y, {a}, {a});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[y], y);
  EXPECT_FALSE(plan.lifetimes[y]);
}

TEST(MemoryPlan, TheFirstOfSeveralThatDie) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({x}), d = b.launch({a, c}, {a, c});
  EXPECT_EQ(b.plan().home[d], a);
}

TEST(MemoryPlan, TheOneThatDiesWhereOthersDoNot) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({x}), d = b.launch({a, c}, {a, c});
  b.launch({a, d});
  EXPECT_EQ(b.plan().home[d], c);
}

TEST(MemoryPlan, NotOfWhatIsReadElsewhereToo) {
  // The kernel reads c as a whole; it is a by another name.
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.call({a}, {a}), d = b.launch({a, c}, {a});
  EXPECT_EQ(b.plan().home[d], d);
}

TEST(MemoryPlan, OfWhatIsReadInPlaceByBothNames) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.call({a}, {a}), d = b.launch({a, c}, {a, c});
  EXPECT_EQ(b.plan().home[d], a);
}

TEST(MemoryPlan, TwoResultsDoNotTakeOnePlace) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x});
  MemoryProgram::Step step;
  step.reads = {a};
  step.makes = {b.temporary(), b.temporary()};
  for (unsigned made : step.makes)
    step.inPlace.emplace_back(a, made);
  b.steps.push_back(step);
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[step.makes[0]], a);
  EXPECT_EQ(plan.home[step.makes[1]], step.makes[1]);
}

TEST(MemoryPlan, NoResultTakesThePlaceOfWhatAnotherOneReadsElsewhere) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x});
  MemoryProgram::Step step;
  step.reads = {a};
  step.makes = {b.temporary(), b.temporary()};
  step.inPlace = {{a, step.makes[0]}};
  b.steps.push_back(step);
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[step.makes[0]], step.makes[0]);
  plan.home[step.makes[0]] = a;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 1: buffer 2 overwrites buffer 1 while it is read");
}

// A loop without iterations hands on what it began with.

TEST(MemoryPlan, ALoopsResultKeepsItsInitialState) {
  Builder b;
  unsigned x = b.fixed(), state = b.launch({x}), result = b.call({state}, {state});
  unsigned z = b.launch({state}, {state});
  b.launch({z});
  b.launch({result});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[z], z);
  EXPECT_EQ(lives(plan, state), (Lifetime{0, 3}));
}

TEST(MemoryPlan, ALoopsResultThatDiesSetsTheStateFree) {
  Builder b;
  unsigned x = b.fixed(), state = b.launch({x}), result = b.call({state}, {state});
  b.launch({result});
  unsigned z = b.launch({state}, {state});
  EXPECT_EQ(b.plan().home[z], state);
}

TEST(MemoryPlan, ALoopAfterALoopKeepsTheFirstOnesState) {
  Builder b;
  unsigned x = b.fixed(), state = b.launch({x}), first = b.call({state}, {state}), second = b.call({first}, {first});
  unsigned z = b.launch({state}, {state});
  b.launch({second, z});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[z], z);
  EXPECT_EQ(lives(plan, state), (Lifetime{0, 2}));
}

TEST(MemoryPlan, OneStateOfTwoResults) {
  Builder b;
  unsigned x = b.fixed(), state = b.launch({x}), one = b.call({state}, {state}), two = b.call({state}, {state});
  b.launch({one});
  unsigned z = b.launch({state}, {state});
  b.launch({two, z});
  EXPECT_EQ(b.plan().home[z], z);
}

TEST(MemoryPlan, OneResultOfTwoBranches) {
  Builder b;
  unsigned x = b.fixed(), left = b.launch({x}), right = b.launch({x}), either = b.call({left, right}, {left, right});
  unsigned y = b.launch({left}, {left}), z = b.launch({right}, {right});
  b.launch({either, y, z});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[y], y);
  EXPECT_EQ(plan.home[z], z);
  EXPECT_EQ(lives(plan, left), (Lifetime{0, 4}));
  EXPECT_EQ(lives(plan, right), (Lifetime{1, 4}));
}

TEST(MemoryPlan, WhatWorkedInPlaceIsKeptByTheLoopsResultToo) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a}, {a}), result = b.call({c}, {c});
  unsigned z = b.launch({c}, {c});
  b.launch({result, z});
  MemoryPlan plan = b.plan();
  EXPECT_EQ(plan.home[c], a);
  EXPECT_EQ(plan.home[z], z);
  EXPECT_EQ(lives(plan, a), (Lifetime{0, 3}));
}

TEST(MemoryPlan, ALoopOnAnInputFreesNothing) {
  Builder b;
  unsigned x = b.fixed(), result = b.call({x}, {x}), a = b.launch({result, x}, {x, result});
  EXPECT_EQ(b.plan().home[a], a);
}

// --no-reuse

TEST(MemoryPlan, WithoutReuseAllLiveToTheEnd) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a}, {a}), d = b.launch({c}, {c});
  MemoryPlan plan = b.plan(/*reuse=*/false);
  EXPECT_EQ(plan.home, (std::vector<unsigned>{x, a, c, d}));
  EXPECT_EQ(lives(plan, a), (Lifetime{0, 2}));
  EXPECT_EQ(lives(plan, c), (Lifetime{1, 2}));
  EXPECT_EQ(lives(plan, d), (Lifetime{2, 2}));
}

TEST(MemoryPlan, EmptyPrograms) {
  for (bool reuse : {false, true}) {
    EXPECT_TRUE(planMemory({}, reuse).home.empty());
    Builder b;
    unsigned x = b.fixed();
    b.read({x});
    EXPECT_EQ(b.plan(reuse).home, std::vector<unsigned>{x});
  }
}

// The checker must see each fault that a plan can have.

TEST(MemoryPlanChecker, SeesAReadOfWhatWasOverwritten) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a}, {a});
  b.launch({a, c});
  MemoryPlan plan = b.plan();
  plan.home[c] = a;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 2: buffer 1 is read, but its memory holds buffer 2");
}

TEST(MemoryPlanChecker, SeesItThroughAnotherName) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), r = b.call({a}, {a}), c = b.launch({a}, {a});
  b.launch({r, c});
  MemoryPlan plan = b.plan();
  plan.home[c] = a;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 3: buffer 2 is read, but its memory holds buffer 3");
}

TEST(MemoryPlanChecker, SeesWorkInPlaceThatTheKernelDoesNotAllow) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}), c = b.launch({a});
  MemoryPlan plan = b.plan();
  plan.home[c] = a;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 1: buffer 2 overwrites buffer 1 while it is read");
}

TEST(MemoryPlanChecker, SeesALifeThatIsTooShort) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x});
  b.launch({a});
  MemoryPlan plan = b.plan();
  plan.lifetimes[a] = Lifetime{0, 0};
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 1: buffer 1 is read when its memory's life is over");
  plan.lifetimes[a] = Lifetime{1, 1};
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 0: buffer 1 is made when its memory is not alive");
  plan.lifetimes[a].reset();
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 0: buffer 1 is made when its memory is not alive");
}

TEST(MemoryPlanChecker, SeesALifeThatEndsBeforeTheHostReads) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x});
  b.launch({x});
  b.read({a});
  MemoryPlan plan = b.plan();
  plan.lifetimes[a] = Lifetime{0, 0};
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 2: buffer 1 is read when its memory's life is over");
}

TEST(MemoryPlanChecker, SeesMemoryThatIsNotOurs) {
  Builder b;
  unsigned x = b.fixed(), a = b.launch({x}, {x});
  MemoryPlan plan = b.plan();
  plan.home[a] = x;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 0: buffer 1 lies in memory that is not ours");
  plan = b.plan();
  unsigned y = b.fixed();
  b.write(y, {a}, {a});
  plan = b.plan();
  plan.home[y] = a;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 1: buffer 2 lies in memory that is not ours");
}

TEST(MemoryPlanChecker, SeesTwoResultsInOnePlace) {
  Builder b;
  unsigned x = b.fixed();
  MemoryProgram::Step step;
  step.reads = {x};
  step.makes = {b.temporary(), b.temporary()};
  b.steps.push_back(step);
  MemoryPlan plan = b.plan();
  plan.home[2] = 1;
  EXPECT_EQ(checkMemoryPlan(b, plan), "step 0: buffer 1 lies where buffer 2 is made as well");
}

TEST(MemoryPlanChecker, SeesAPlanOfAnotherProgram) {
  Builder b;
  b.launch({b.fixed()});
  EXPECT_EQ(checkMemoryPlan(b, MemoryPlan()), "a plan for another number of buffers");
  MemoryPlan plan = b.plan();
  plan.lifetimes.pop_back();
  EXPECT_EQ(checkMemoryPlan(b, plan), "a plan for another number of buffers");
}
