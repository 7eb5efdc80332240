//===- RandomProgramTest.cpp - Random programs, run with and without a plan -===//
// Each program is run twice on numbers: with memory of its own for each buffer, and in an arena laid out by the plan's
// lifetimes, whose unused bytes hold poison. What is read must be the same. The interpreter knows nothing of the rules
// that the plan was made by.
//===----------------------------------------------------------------------===//
#include "ds/Memory/MemoryPlan.h"
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace ds;

namespace {

using Step = MemoryProgram::Step;
constexpr size_t kCells = 4; // of a buffer
constexpr uint64_t kPoison = 0xdeaddeaddeaddeadull;

struct RandomProgram : MemoryProgram {
  std::mt19937 random;
  std::vector<unsigned> readable;

  unsigned pick(unsigned count) { return random() % count; }
  unsigned pickBuffer() {
    // Recent ones more often: lives end, and places are taken.
    size_t window = pick(3) ? std::min<size_t>(readable.size(), 6) : readable.size();
    return readable[readable.size() - 1 - pick(window)];
  }

  explicit RandomProgram(unsigned seed) : random(seed) {
    for (unsigned i = 0; i < 2; ++i)
      readable.push_back(addBuffer(false));
    for (unsigned i = 0, count = 3 + pick(25); i < count; ++i) {
      Step step;
      unsigned kind = pick(10);
      step.isLaunch = kind < 7;
      for (unsigned r = 0, reads = kind == 9 ? 1 : 1 + pick(3); r < reads; ++r)
        step.reads.push_back(pickBuffer());
      if (kind < 7) {
        unsigned makes = pick(5) ? 1 : 2;
        for (unsigned m = 0; m < makes; ++m)
          step.makes.push_back(addBuffer(pick(8) != 0)); // else an output
        for (unsigned read : step.reads)
          for (unsigned made : step.makes)
            if (pick(4))
              step.inPlace.emplace_back(read, made);
      } else if (kind < 9) { // a call whose results may be what it read
        for (unsigned m = 0, makes = pick(3); m < makes; ++m) {
          step.makes.push_back(addBuffer(false));
          for (unsigned read : step.reads)
            if (pick(2))
              step.mayAlias.emplace_back(step.makes.back(), read);
        }
      } else { // a view
        step.makes.push_back(addBuffer(false));
        step.mayAlias.emplace_back(step.makes.back(), step.reads[0]);
      }
      readable.insert(readable.end(), step.makes.begin(), step.makes.end());
      steps.push_back(std::move(step));
    }
  }
};

/// Where each home lies in the arena: the first gap among those whose lives meet, as the runtime's planner would.
std::map<unsigned, size_t> layOut(const MemoryPlan &plan) {
  std::map<unsigned, size_t> offsets;
  for (unsigned home = 0; home < plan.lifetimes.size(); ++home) {
    if (!plan.lifetimes[home])
      continue;
    size_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (auto [other, at] : offsets) {
        const Lifetime &x = *plan.lifetimes[home], &y = *plan.lifetimes[other];
        if (x.first <= y.last && y.first <= x.last && offset < at + kCells && at < offset + kCells) {
          offset = at + kCells;
          moved = true;
        }
      }
    }
    offsets[home] = offset;
  }
  return offsets;
}

/// Runs the program; the cells that each step reads, one after another.
class Interpreter {
public:
  Interpreter(const MemoryProgram &program, const MemoryPlan *plan, unsigned seed)
      : program(program), plan(plan), choices(seed) {
    std::map<unsigned, size_t> offsets;
    if (plan)
      offsets = layOut(*plan);
    size_t arena = 0;
    for (auto [home, offset] : offsets)
      arena = std::max(arena, offset + kCells);
    memory.assign(arena + kCells * program.isTemporary.size(), kPoison);
    address.resize(program.isTemporary.size());
    for (unsigned buffer = 0; buffer < address.size(); ++buffer)
      address[buffer] = plan && program.isTemporary[buffer] ? offsets[plan->home[buffer]] : arena + kCells * buffer;
    for (unsigned input = 0; input < 2; ++input)
      for (size_t cell = 0; cell < kCells; ++cell)
        memory[address[input] + cell] = 100 * (input + 1) + cell;
  }

  std::vector<uint64_t> run() {
    for (size_t index = 0; index < program.steps.size(); ++index) {
      const Step &step = program.steps[index];
      for (unsigned read : step.reads)
        for (size_t cell = 0; cell < kCells; ++cell)
          seen.push_back(memory[address[read] + cell]);
      if (step.isLaunch)
        launch(step, index);
      else
        call(step, index);
      launches += step.isLaunch;
      if (plan)
        poisonTheDead(index);
    }
    return seen;
  }

private:
  static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29); }

  /// Cell by cell; of operands that are not read in place alone, all cells at each.
  void launch(const Step &step, size_t index) {
    for (size_t cell = 0; cell < kCells; ++cell) {
      std::vector<uint64_t> values;
      for (unsigned made : step.makes) {
        uint64_t value = mix(index, made);
        for (unsigned read : step.reads) {
          bool inPlace = false;
          for (auto pair : step.inPlace)
            inPlace |= pair == std::make_pair(read, made);
          for (size_t other = 0; other < kCells; ++other)
            if (!inPlace || other == cell)
              value = mix(value, memory[address[read] + other]);
        }
        values.push_back(value);
      }
      for (size_t i = 0; i < values.size(); ++i)
        memory[address[step.makes[i]] + cell] = values[i];
    }
  }

  void call(const Step &step, size_t index) {
    for (unsigned made : step.makes) {
      // The last pair that is so: the memory of what was read, for the rest of the run. One pair alone is a view.
      bool isView = step.makes.size() == 1 && step.mayAlias.size() == 1 && step.reads.size() == 1;
      for (auto [result, source] : step.mayAlias)
        if (result == made && (isView || choices() % 2))
          address[made] = address[source];
      if (address[made] != addressOfOwn(made))
        continue;
      for (size_t cell = 0; cell < kCells; ++cell)
        memory[address[made] + cell] = mix(index, cell);
    }
  }
  size_t addressOfOwn(unsigned buffer) const { return memory.size() - kCells * (program.isTemporary.size() - buffer); }

  /// What no living buffer's place covers may hold anything.
  void poisonTheDead(size_t index) {
    // The host may still read what lives until the launch before it.
    if (index + 1 < program.steps.size() && !program.steps[index + 1].isLaunch)
      return;
    size_t arena = memory.size() - kCells * program.isTemporary.size();
    std::vector<bool> alive(arena);
    for (unsigned buffer = 0; buffer < program.isTemporary.size(); ++buffer)
      if (const std::optional<Lifetime> &life = plan->lifetimes[buffer]; life && life->last >= launches)
        std::fill_n(alive.begin() + address[buffer], kCells, true);
    for (size_t cell = 0; cell < arena; ++cell)
      if (!alive[cell])
        memory[cell] = kPoison;
  }

  const MemoryProgram &program;
  const MemoryPlan *plan;
  std::mt19937 choices;
  std::vector<uint64_t> memory, seen; // the arena, then a place of its own for each buffer
  std::vector<size_t> address;
  int64_t launches = 0;
};

std::string text(const MemoryProgram &program) {
  std::string out;
  auto list = [&](const std::vector<unsigned> &buffers) {
    for (unsigned buffer : buffers)
      out += " " + std::to_string(buffer) + (program.isTemporary[buffer] ? "t" : "");
  };
  for (const Step &step : program.steps) {
    out += step.isLaunch ? "launch" : "host";
    list(step.reads);
    out += " ->";
    list(step.makes);
    for (auto [read, made] : step.inPlace)
      out += " " + std::to_string(made) + "@" + std::to_string(read);
    for (auto [made, read] : step.mayAlias)
      out += " " + std::to_string(made) + "?" + std::to_string(read);
    out += "\n";
  }
  return out;
}

} // namespace

TEST(RandomPrograms, ReadTheSameWithAndWithoutAPlan) {
  unsigned inPlace = 0, aliased = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    RandomProgram program(seed);
    for (bool reuse : {true, false}) {
      MemoryPlan plan = planMemory(program, reuse);
      ASSERT_EQ(checkMemoryPlan(program, plan), "") << "seed " << seed << "\n" << text(program);
      for (unsigned buffer = 0; buffer < plan.home.size(); ++buffer) {
        ASSERT_TRUE(reuse || plan.home[buffer] == buffer);
        inPlace += plan.home[buffer] != buffer;
      }
      for (unsigned run = 0; run < 3; ++run)
        ASSERT_EQ(Interpreter(program, &plan, run).run(), Interpreter(program, nullptr, run).run())
            << "seed " << seed << ", reuse " << reuse << "\n"
            << text(program);
    }
    for (const Step &step : program.steps)
      aliased += step.mayAlias.size();
  }
  // What the test is about does happen.
  EXPECT_GT(inPlace, 4000u);
  EXPECT_GT(aliased, 4000u);
}

TEST(RandomPrograms, TheCheckerSeesWhatTheInterpreterSees) {
  // Plans that are made wrong at random: whatever reads otherwise must have been refused.
  unsigned wrong = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    RandomProgram program(seed);
    MemoryPlan plan = planMemory(program);
    std::mt19937 random(seed);
    unsigned buffer = random() % plan.home.size();
    if (std::optional<Lifetime> &life = plan.lifetimes[buffer]; life && random() % 2)
      life->last = life->first + random() % (life->last - life->first + 1);
    else if (unsigned other = random() % plan.home.size(); program.isTemporary[buffer] && plan.lifetimes[other])
      plan.home[buffer] = other;
    if (!checkMemoryPlan(program, plan).empty())
      continue;
    for (unsigned run = 0; run < 3; ++run)
      ASSERT_EQ(Interpreter(program, &plan, run).run(), Interpreter(program, nullptr, run).run())
          << "seed " << seed << ", buffer " << buffer << "\n"
          << text(program);
    ++wrong;
  }
  EXPECT_GT(wrong, 100u);
}

TEST(RandomPrograms, PlansAreMadeInNearLinearTime) {
  // A chain of loops on one state, and reads of everything before: quadratic work would not end in the time limit.
  MemoryProgram program;
  unsigned state = program.addBuffer(true);
  program.steps.push_back({true, {}, {state}, {}, {}});
  for (unsigned i = 0; i < 200000; ++i) {
    unsigned result = program.addBuffer(false), next = program.addBuffer(true);
    program.steps.push_back({false, {state}, {result}, {}, {{result, state}}});
    program.steps.push_back({true, {result, state}, {next}, {{state, next}, {result, next}}, {}});
    state = next;
  }
  MemoryPlan plan = planMemory(program);
  EXPECT_EQ(checkMemoryPlan(program, plan), "");
  EXPECT_EQ(plan.home[state], 0u);
}
