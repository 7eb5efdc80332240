//===- PlaceDonations.cpp - When an output may be its input's memory ------===//
// Assumes: kernels are code (which says whether it works in place); each result is made by a launch of its own, or is
//   the argument that is donated to it.
// Guarantees: where it says `ds.in_place`, nothing reads the donated input's old value once the launch that makes the
//   output has run, and that launch reads it only where it writes. A launch moves behind the input's last reader where
//   that makes it so.
// Declines: donations that no order makes so: the runtime copies those outputs when the run is over.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/Donations.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Memory/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_PLACEDONATIONSPASS
#include "ds/Memory/Passes.h.inc"

namespace {

struct Donation {
  unsigned input;
  rt::LaunchOp writer;
  unsigned made = 0;                // its result that is the output
  DenseSet<Value> aliases;          // all that may be the input's memory
  SmallVector<Operation *> readers; // the writer not among them
  bool readByWriter = false, inPlace = false;

  Operation *lastReader() const {
    Operation *last = nullptr;
    for (Operation *reader : readers)
      if (!last || last->isBeforeInBlock(reader))
        last = reader;
    return last;
  }
  bool isInOrder() const {
    Operation *last = lastReader();
    return !last || last->isBeforeInBlock(writer);
  }
};

/// Another name for memory, which reads nothing itself.
bool isView(Operation *op) { return viewedBy(op) && !endsStage(op); }

/// Views are their operand's memory, and what a branch or loop hands on may be.
void findReaders(Value input, Donation &donation) {
  SmallVector<Value> work{input};
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!donation.aliases.insert(value).second)
      continue;
    for (Operation *user : value.getUsers()) {
      if (user == donation.writer)
        donation.readByWriter = true;
      else if (!isView(user))
        donation.readers.push_back(user);
      if (auto host = dyn_cast<HostOpInterface>(user); host && host.mayHandOn())
        llvm::append_range(work, user->getResults());
    }
  }
}

/// Whether the writer may write where it reads the input: it works in place, and all that it reads of that memory has
/// the output's dims.
bool worksInPlace(const Donation &donation, const ShapeState &shapes) {
  rt::LaunchOp launch = donation.writer;
  auto code = SymbolTable::lookupNearestSymbolFrom<rt::CodeOp>(launch, launch.getKernelAttr());
  if (!code || !code.getInPlace())
    return false;
  auto made = cast<ShapeAttr>(launch.getShapes()[donation.made]);
  return llvm::all_of(launch.getInputs(), [&](Value operand) {
    if (!donation.aliases.contains(operand))
      return true;
    // A view has dims of its own; only the argument's are at hand.
    return isa<BlockArgument>(operand) && shapes.getDims(operand) && *shapes.getDims(operand) == made.getDims() &&
           getElementTypeOrSelf(operand.getType()) == getElementTypeOrSelf(launch.getResult(donation.made).getType());
  });
}

/// Moves the writer, and views of what it makes, behind the last reader. Declines where something between needs what it
/// makes, or overwrites in place what it reads.
void sinkWriter(Donation &donation, ArrayRef<Donation> all) {
  Operation *last = donation.lastReader();
  SmallVector<Operation *> moved{donation.writer};
  for (unsigned i = 0; i < moved.size(); ++i)
    for (Operation *user : moved[i]->getUsers()) {
      if (last->isBeforeInBlock(user) || llvm::is_contained(moved, user))
        continue;
      if (!isView(user))
        return;
      moved.push_back(user);
    }
  for (const Donation &other : all)
    if (&other != &donation && other.inPlace && donation.writer->isBeforeInBlock(other.writer) &&
        other.writer->isBeforeInBlock(last->getNextNode()) &&
        llvm::any_of(donation.writer.getInputs(), [&](Value value) { return other.aliases.contains(value); }))
      return;
  for (Operation *op : moved) {
    op->moveAfter(last);
    last = op;
  }
}

class PlaceDonationsPass : public impl::PlaceDonationsPassBase<PlaceDonationsPass> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<Donation> all;
    ShapeState shapes;
    if (failed(seedArguments(function.getBody(), shapes)))
      return signalPassFailure();
    for (BlockArgument argument : function.getArguments()) {
      auto output = function.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), kDonateAttr);
      if (!output)
        continue;
      if (isUnchangedDonation(function, unsigned(output.getInt()))) {
        function.setArgAttr(argument.getArgNumber(), kInPlaceAttr, UnitAttr::get(&getContext()));
        continue;
      }
      Value result = memoryOf(function.getBody().front().getTerminator()->getOperand(output.getInt()));
      auto writer = result.getDefiningOp<rt::LaunchOp>();
      if (!writer)
        continue;
      Donation donation{argument.getArgNumber(), writer, cast<OpResult>(result).getResultNumber(), {}, {}};
      findReaders(argument, donation);
      if (!donation.readByWriter || worksInPlace(donation, shapes))
        all.push_back(std::move(donation));
    }
    for (Donation &donation : all)
      donation.inPlace = donation.isInOrder();
    for (Donation &donation : all) {
      if (!donation.inPlace)
        sinkWriter(donation, all);
      donation.inPlace = donation.isInOrder();
    }
    for (const Donation &donation : all)
      if (donation.isInOrder())
        function.setArgAttr(donation.input, kInPlaceAttr, UnitAttr::get(&getContext()));
  }
};

} // namespace
} // namespace ds
