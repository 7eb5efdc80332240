//===- Explain.cpp - What makes a model dynamic, in words ------------------===//
// Guarantees: see ds/Regions/Explain.h.
//===----------------------------------------------------------------------===//
#include "ds/Regions/Explain.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/ir/NodeName.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ds {

namespace {
class Explainer {
public:
  explicit Explainer(ModuleOp module) : module(module), out(text) {}
  std::string run();

private:
  void explain(func::FuncOp function, unsigned depth);
  void explain(Operation *boundary, unsigned depth);
  void explainChoice(IfOp branch, unsigned depth);
  llvm::raw_ostream &line(unsigned depth) { return out.indent(2 * depth); }
  static std::string symbolsOf(ShapeAttr symbols) {
    std::string names;
    for (const SymExpr &symbol : symbols.getDims())
      names += (names.empty() ? "" : ", ") + symbol.str();
    return names;
  }

  ModuleOp module;
  SmallVector<std::string> required; // symbols that only a check needs
  std::string text;
  llvm::raw_string_ostream out;
};
} // namespace

void Explainer::explain(Operation *op, unsigned depth) {
  std::string node = describeNode(op);
  std::optional<NodeName> name = getNodeName(op->getLoc());
  std::string flag = "--force-static='" + (name ? name->name : std::string("NODE")) + "=";
  auto makes = [&](ShapeAttr symbols) {
    if (symbols.size())
      line(depth + 1) << "known after it: " << symbolsOf(symbols) << '\n';
  };
  if (auto bind = dyn_cast<BindOp>(op)) {
    bool forced = llvm::is_contained(required, bind.getSymbols().getDim(0).str());
    size_t count = bind.getSymbols().size();
    line(depth) << "- " << node << ": "
                << (forced ? "what the model computes is compared with what was stated for it\n"
                           : "sizes follow from " + std::to_string(count) + (count == 1 ? " number" : " numbers") +
                                 " that the model computes\n");
    if (forced)
      return;
    makes(bind.getSymbols());
    line(depth + 1) << "static if these follow from constants and the inputs' sizes, or with " << flag
                    << (count == 1 ? "NUMBER" : "NUMBER,...") << "'\n";
  } else if (auto branch = dyn_cast<IfOp>(op); branch && branch.getDecides()) {
    explainChoice(branch, depth);
  } else if (auto branch = dyn_cast<IfOp>(op)) {
    line(depth) << "- " << node << ": the condition is computed by the model\n";
    makes(branch.getSymbols());
    line(depth + 1) << "static if the condition follows from constants and the inputs' sizes, or with " << flag
                    << "1' (then) or " << flag << "0' (else)\n";
    for (auto [title, body] : {std::pair("then", branch.getThenBody()), std::pair("else", branch.getElseBody())})
      if (auto function = module.lookupSymbol<func::FuncOp>(body)) {
        line(depth + 1) << title << ": ";
        explain(function, depth + 2);
      }
  } else if (auto loop = dyn_cast<LoopOp>(op)) {
    line(depth) << "- " << node << ": the model computes how often it runs, or the loop is too long to unroll\n";
    makes(loop.getSymbols());
    line(depth + 1)
        << "static if the number of iterations is a small constant, and the condition, if any, a constant\n";
    if (auto function = module.lookupSymbol<func::FuncOp>(loop.getBody())) {
      line(depth + 1) << "body: ";
      explain(function, depth + 2);
    }
  } else if (auto custom = dyn_cast<CustomOp>(op); custom && custom.getDomain() == kStringDomain) {
    bool isBoundary = custom.getOpType() == "Begin" || custom.getOpType() == "Text" || custom.getOpType() == "Number";
    line(depth) << "- " << (isBoundary ? std::string() : node + ": ")
                << (custom.getOpType() == "Text" ? "strings that leave the program get their bytes\n"
                    : isBoundary                 ? "strings that come in are numbered\n"
                                                 : "looks into strings\n");
    makes(custom.getSymbols());
  } else if (auto custom = dyn_cast<CustomOp>(op)) {
    line(depth) << "- " << node << ": computed by the program that runs the model\n";
    makes(custom.getSymbols());
    if (custom.getSymbols().size())
      line(depth + 1) << "known before it where the model declares its outputs' sizes (value_info)\n";
  }
}

/// One op after another, each in the other's else branch.
void Explainer::explainChoice(IfOp branch, unsigned depth) {
  std::optional<NodeName> name = getNodeName(branch.getLoc());
  line(depth) << "- " << describeNode(branch) << ": the run decides " << *branch.getDecides()
              << "; there is a version for each, from here to the graph's end\n";
  line(depth + 1) << "static if the model declares it, or with --force-static='"
                  << (name ? name->name : std::string("NODE")) << "=NUMBER'\n";
  while (branch) {
    int64_t number = branch.getNumber().value_or(0);
    if (auto function = module.lookupSymbol<func::FuncOp>(branch.getThenBody())) {
      line(depth + 1) << "for " << number << ": ";
      explain(function, depth + 2);
    }
    auto others = module.lookupSymbol<func::FuncOp>(branch.getElseBody());
    IfOp next;
    if (others)
      for (auto op : others.getBody().front().getOps<IfOp>())
        if (op.getDecides() == branch.getDecides())
          next = op;
    if (others && !next) {
      line(depth + 1) << "for what is left: ";
      explain(others, depth + 2);
    }
    branch = next;
  }
}

void Explainer::explain(func::FuncOp function, unsigned depth) {
  Block &block = function.getBody().front();
  size_t regions = llvm::range_size(block.getOps<StaticOp>());
  size_t boundaries = llvm::count_if(block, [](Operation &op) { return endsStage(&op); });
  out << regions << (regions == 1 ? " static region" : " static regions")
      << (boundaries ? ", and what only the run knows:\n" : ": nothing depends on data\n");
  for (Operation &op : block) {
    if (auto region = dyn_cast<StaticOp>(op); region && boundaries) {
      size_t count = llvm::range_size(region.getBody().front().without_terminator());
      line(depth) << "- a static region of " << count << (count == 1 ? " op\n" : " ops\n");
    } else if (endsStage(&op)) {
      explain(&op, depth);
    }
  }
}

std::string Explainer::run() {
  module.walk([&](RequireOp op) { required.push_back(op.getA().getDim(0).str()); });
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isExternal())
      continue;
    out << "the model: ";
    explain(function, 1);
    if (auto versions = function->getAttrOfType<ArrayAttr>(kVersionsAttr))
      for (auto version : versions.getAsRange<DictionaryAttr>()) {
        auto sizes = version.getAs<DictionaryAttr>("sizes");
        out << "version for ";
        llvm::interleaveComma(sizes, out, [&](NamedAttribute size) {
          out << size.getName().strref() << '=' << cast<IntegerAttr>(size.getValue()).getInt();
        });
        if (version.contains("left_out"))
          out << (sizes.empty() ? "" : " and ") << "runs that give no optional input";
        out << ": ";
        if (auto body = module.lookupSymbol<func::FuncOp>(version.getAs<FlatSymbolRefAttr>("body").getValue()))
          explain(body, 1);
      }
  }
  return text;
}

std::string explainRegions(ModuleOp module) { return Explainer(module).run(); }

} // namespace ds
