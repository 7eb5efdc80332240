//===- AssignMemory.cpp - Lifetimes of buffers, and which share memory ----===//
// Assumes: buffers and dispatches as convert-ds-to-rt leaves them.
// Guarantees: every temporary has a lifetime; what `planMemory` decided holds (checkMemoryPlan), or an internal error.
// Declines: deciding anything itself; it carries a program to MemoryPlan and back.
//===----------------------------------------------------------------------===//
#include "dialects/rt/RtDialect.h"
#include "ds/Memory/MemoryPlan.h"
#include "ds/Memory/Passes.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_ASSIGNMEMORYPASS
#include "ds/Memory/Passes.h.inc"

namespace {
class AssignMemoryPass : public impl::AssignMemoryPassBase<AssignMemoryPass> {
public:
  using AssignMemoryPassBase::AssignMemoryPassBase;
  void runOnOperation() override;
};
} // namespace

/// The steps of a host program; `buffers` are its buffers by number.
static MemoryProgram describe(rt::ProgramOp host, SmallVector<rt::BufferOp> &buffers) {
  MemoryProgram program;
  DenseMap<Value, unsigned> numbers;
  auto numbersOf = [&](ValueRange values) {
    std::vector<unsigned> result;
    for (Value value : values)
      result.push_back(numbers.at(value));
    return result;
  };
  for (Operation &op : *host.getBody()) {
    MemoryProgram::Step step;
    if (auto buffer = dyn_cast<rt::BufferOp>(op)) {
      numbers[buffer] = program.addBuffer(buffer.getKind() == rt::BufferKind::temporary);
      buffers.push_back(buffer);
      continue;
    }
    if (auto dispatch = dyn_cast<rt::DispatchOp>(op)) {
      step.reads = numbersOf(dispatch.getInputs());
      step.makes = numbersOf(dispatch.getOutputs());
      for (int64_t input : dispatch.getInPlace().value_or(ArrayRef<int64_t>()))
        for (unsigned made : step.makes)
          step.inPlace.emplace_back(step.reads[input], made);
    } else if (auto bind = dyn_cast<rt::BindOp>(op)) {
      step.isLaunch = false;
      step.reads = numbersOf(bind.getBuffer());
    } else if (auto call = dyn_cast<rt::CallOp>(op)) {
      step.isLaunch = false;
      for (Value value : {call.getTrips(), call.getCondition()})
        if (value)
          step.reads.push_back(numbers.at(value));
      for (Value value : call.getInputs())
        step.reads.push_back(numbers.at(value));
      step.makes = numbersOf(call.getOutputs());
      for (auto [index, made] : llvm::enumerate(step.makes))
        for (Value source : call.getSources(index))
          step.mayAlias.emplace_back(made, numbers.at(source));
    } else {
      continue;
    }
    program.steps.push_back(std::move(step));
  }
  return program;
}

void AssignMemoryPass::runOnOperation() {
  SmallVector<rt::BufferOp> buffers;
  MemoryProgram program = describe(getOperation(), buffers);
  MemoryPlan plan = planMemory(program, reuse);
  if (std::string problem = checkMemoryPlan(program, plan); !problem.empty()) {
    getOperation().emitError("memory was assigned wrongly: ") << problem;
    return signalPassFailure();
  }
  int64_t kept = 0;
  for (auto [number, buffer] : llvm::enumerate(buffers)) {
    if (plan.home[number] != number) {
      buffer.replaceAllUsesWith(buffers[plan.home[number]].getResult());
    } else if (const std::optional<Lifetime> &life = plan.lifetimes[number]) {
      buffer.setIndex(kept++);
      buffer.setFirst(life->first);
      buffer.setLast(life->last);
    }
  }
  for (auto [number, buffer] : llvm::enumerate(buffers))
    if (plan.home[number] != number)
      buffer.erase();
  for (auto dispatch : getOperation().getOps<rt::DispatchOp>())
    dispatch.removeInPlaceAttr();
}

} // namespace ds
