//===- ValueTable.h - The sizes that a program computes -------------------===//
// Assumes: buffers assigned, kernels are code.
// Guarantees: the same numbering wherever it is asked for: each different expression that launches, buffers and results
// need
//   is one value; symbols are the entry dimensions, in the order of inputs and dimensions, then the bound ones in
//   order. Values, and constraints, are sorted by the stage in which their symbols are known.
//===----------------------------------------------------------------------===//
#ifndef DS_LIB_CONVERSION_RTTOLLVM_VALUETABLE_H
#define DS_LIB_CONVERSION_RTTOLLVM_VALUETABLE_H

#include "dialects/ds/shape/ShapeState.h"
#include "dialects/rt/RtDialect.h"
#include <set>
#include <unordered_map>

namespace ds {

/// What the names in host programs mean. Finding a name in the IR takes as long as the program has names.
class HostSymbols {
public:
  explicit HostSymbols(mlir::ModuleOp module) : table(module) {}

  /// The code of a dispatch's kernel.
  rt::CodeOp kernel(rt::DispatchOp dispatch) const {
    return table.lookup<rt::CodeOp>(dispatch.getKernelAttr().getAttr());
  }
  /// One of the attributes in which code states sizes.
  using Stated = ShapeAttr (rt::CodeOp::*)();
  /// The expressions that the code of a dispatch's kernel states, in the program's symbols.
  llvm::SmallVector<SymExpr> exprs(rt::DispatchOp dispatch, Stated stated) const;
  /// The only one.
  SymExpr expr(rt::DispatchOp dispatch, Stated stated) const { return exprs(dispatch, stated).front(); }
  /// A figure for reports: 0, which says that nobody knows, where it is too large.
  SymExpr figure(rt::DispatchOp dispatch, Stated stated) const;
  /// Kernels of the program in order of first launch, each once.
  llvm::SmallVector<rt::CodeOp> launchedKernels(rt::ProgramOp program) const;

  /// The program that `call` runs.
  rt::ProgramOp body(rt::CallOp call, unsigned index) const {
    return program(llvm::cast<mlir::FlatSymbolRefAttr>(call.getBodies()[index]));
  }
  rt::ProgramOp program(mlir::FlatSymbolRefAttr name) const { return table.lookup<rt::ProgramOp>(name.getAttr()); }

private:
  mlir::SymbolTable table;
  /// What was asked for: by the kernel's expressions and symbols, and their values in the launch.
  mutable llvm::DenseMap<std::tuple<mlir::Attribute, mlir::Attribute, mlir::Attribute>, llvm::SmallVector<SymExpr>>
      stateds;
};

class ValueTable {
public:
  struct Symbol {
    std::string name;
    unsigned input = kGiven, dimension = 0;
  };
  /// As a symbol's input: the caller gives its value (bodies).
  static constexpr unsigned kGiven = ~0u;

  /// A symbol that is element `element` of the buffer of `bind`, or dim `element` of output `output` of `call`.
  struct BoundSymbol {
    std::string name;
    rt::BindOp bind;
    rt::CallOp call;
    unsigned element = 0, output = 0;
  };
  struct Stage {
    unsigned symbolCount = 0, valueCount = 0; // known to it
    unsigned firstLaunch = 0, launchCount = 0;
    unsigned firstConstraint = 0, constraintCount = 0;
    /// Sizes that its kernels want, the largest of which it needs: different ones, at most one of them a constant.
    llvm::SmallVector<SymExpr> scratch;
    unsigned scratchValue = 0; // the number of the largest, if it is not just a constant
    rt::CallOp call;           // its last op, or null
  };

  /// `program` states which symbols its callers give, as those that it calls do.
  ValueTable(rt::ProgramOp program, const HostSymbols &symbols);

  /// The symbols that `program` needs and neither its inputs nor the ops in it define, by name. Programs that it calls
  /// must have theirs stated.
  static std::vector<std::string> undefinedSymbols(rt::ProgramOp program, const HostSymbols &symbols);
  /// Fails, with a diagnostic that names the node, if a size that `program` needs has no value (SymExpr::isOverflow).
  static mlir::LogicalResult checkSizes(rt::ProgramOp program, const HostSymbols &symbols);

  llvm::ArrayRef<BoundSymbol> getBound() const { return bound; }
  /// At least one.
  llvm::ArrayRef<Stage> getStages() const { return stages; }

  llvm::ArrayRef<Symbol> getSymbols() const { return own; }
  /// Each value is the largest of some expressions, of one almost always.
  llvm::ArrayRef<llvm::SmallVector<SymExpr, 1>> getValues() const { return values; }
  /// The number of an expression that is no constant.
  unsigned indexOf(const SymExpr &expr) const { return indices.at(expr); }
  unsigned symbolIndex(const std::string &name) const { return symbolIndices.at(name); }
  bool isKnown(const std::string &symbol) const { return symbolIndices.count(symbol) || findDefined(symbol); }

  /// A name of a long size (rt.program) that something needs: the value of the symbol by itself.
  struct Defined {
    std::string name;
    SymExpr expr;
    unsigned stage = 0;
  };
  /// Each over symbols and those before it.
  llvm::ArrayRef<Defined> getDefined() const { return defined; }
  /// Null where `symbol` is no such name.
  const Defined *findDefined(const std::string &symbol) const {
    auto found = definedIndices.find(symbol);
    return found == definedIndices.end() ? nullptr : &defined[found->second];
  }
  /// Names of symbols by their numbers.
  llvm::ArrayRef<std::string> getNames() const { return names; }
  llvm::SmallVector<ShapeConstraint> constraints;

private:
  void addSymbol(const std::string &name);
  void addDefined(rt::ProgramOp program, const std::set<std::string> &used);
  /// The first stage that knows all symbols of `expr`; an unknown symbol is nobody's.
  unsigned stageOf(const SymExpr &expr) const;
  void numberValues(const std::vector<SymExpr> &wanted);

  llvm::SmallVector<Symbol> own; // those that inputs and callers give
  llvm::SmallVector<BoundSymbol> bound;
  llvm::SmallVector<Stage> stages;
  llvm::SmallVector<std::string> names;
  llvm::SmallVector<Defined> defined;
  std::unordered_map<std::string, unsigned> definedIndices;
  llvm::SmallVector<llvm::SmallVector<SymExpr, 1>> values;
  std::unordered_map<SymExpr, unsigned, SymExpr::Hash> indices;
  std::unordered_map<std::string, unsigned> symbolIndices;
};

/// The model's program, first, and all that it runs, directly or not; each before those that it calls.
mlir::FailureOr<llvm::SmallVector<rt::ProgramOp>> hostPrograms(mlir::ModuleOp module, const HostSymbols &symbols);

} // namespace ds

#endif
