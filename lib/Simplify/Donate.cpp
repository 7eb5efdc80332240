//===- Donate.cpp - Inputs whose memory an output takes -------------------===//
// Guarantees: see ds/Simplify/Donate.h.
//===----------------------------------------------------------------------===//
#include "ds/Simplify/Donate.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/ds/ir/ModelAttrs.h"
#include "dialects/ds/shape/ShapeState.h"
#include "ds/Import/Onnx.h"
#include "ds/Simplify/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_CHECKDONATIONSPASS
#include "ds/Simplify/Passes.h.inc"

static std::string nameOf(func::FuncOp function, unsigned index, bool isResult) {
  auto name = isResult ? function.getResultAttrOfType<StringAttr>(index, kNameAttr)
                       : function.getArgAttrOfType<StringAttr>(index, kNameAttr);
  return name ? name.str() : std::string();
}

/// "f32 [N, 4]"
static std::string describe(Type type, ArrayRef<SymExpr> dims) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << getElementTypeOrSelf(type) << " [";
  llvm::interleaveComma(dims, stream, [&](const SymExpr &dim) { stream << dim.str(); });
  stream << "]";
  return text;
}

static std::string cannotBe(const std::string &input, const std::string &is, const std::string &output,
                            const std::string &becomes) {
  return "input '" + input + "' (" + is + ") cannot be donated to output '" + output + "' (" + becomes +
         "): both are one memory and must have the same type and dims";
}

/// What is wrong with a donation, as far as types tell.
static std::string typeProblem(func::FuncOp function, unsigned input, unsigned output) {
  auto from = dyn_cast<RankedTensorType>(function.getArgumentTypes()[input]),
       to = dyn_cast<RankedTensorType>(function.getResultTypes()[output]);
  const std::string in = nameOf(function, input, false), out = nameOf(function, output, true);
  if (!from || !to || isa<StringType>(from.getElementType()))
    return "input '" + in + "' cannot be donated to output '" + out + "': both must be tensors of numbers";
  bool differ = from.getElementType() != to.getElementType() || from.getRank() != to.getRank();
  for (int64_t d = 0; !differ && d < from.getRank(); ++d)
    differ = !from.isDynamicDim(d) && !to.isDynamicDim(d) && from.getDimSize(d) != to.getDimSize(d);
  if (!differ)
    return "";
  auto text = [](RankedTensorType type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  };
  return cannotBe(in, text(from), out, text(to));
}

LogicalResult addDonations(ModuleOp module, ArrayRef<std::string> donations, std::string &error) {
  func::FuncOp model;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      model = function;
  if (!model)
    return success();
  std::vector<std::string> inputs, outputs;
  for (unsigned i = 0; i < model.getNumArguments(); ++i)
    inputs.push_back(nameOf(model, i, false));
  for (unsigned i = 0; i < model.getNumResults(); ++i)
    outputs.push_back(nameOf(model, i, true));
  Builder builder(module.getContext());
  for (const std::string &text : donations) {
    auto input = inputs.end(), output = outputs.end();
    for (size_t colon = text.find(':'); colon != std::string::npos; colon = text.find(':', colon + 1)) {
      auto in = llvm::find(inputs, text.substr(0, colon));
      auto out = llvm::find(outputs, text.substr(colon + 1));
      // Half of a name that fits tells more than none.
      if ((in != inputs.end()) + (out != outputs.end()) > (input != inputs.end()) + (output != outputs.end()))
        input = in, output = out;
    }
    auto list = [](const std::vector<std::string> &names) { return names.empty() ? "none" : llvm::join(names, ", "); };
    if (input == inputs.end() || output == outputs.end()) {
      error = "'" + text + "' names no " + (input == inputs.end() ? "input" : "output") +
              "; expected INPUT:OUTPUT, with " +
              (input == inputs.end() ? "an input of " + list(inputs) : "an output of " + list(outputs));
      return failure();
    }
    model.setArgAttr(input - inputs.begin(), kDonateAttr, builder.getI64IntegerAttr(output - outputs.begin()));
  }
  // Versions have the same donations.
  if (auto versions = model->getAttrOfType<ArrayAttr>(kVersionsAttr))
    for (auto version : versions.getAsRange<DictionaryAttr>())
      if (auto body = module.lookupSymbol<func::FuncOp>(version.getAs<FlatSymbolRefAttr>("body").getAttr()))
        for (unsigned i = 0; i < model.getNumArguments(); ++i)
          if (Attribute output = model.getArgAttr(i, kDonateAttr))
            body.setArgAttr(i, kDonateAttr, output);
  // Also those that the text of a model in ds says.
  llvm::DenseMap<int64_t, unsigned> taken;
  for (unsigned i = 0; i < model.getNumArguments(); ++i) {
    auto output = model.getArgAttrOfType<IntegerAttr>(i, kDonateAttr);
    if (!output)
      continue;
    error = typeProblem(model, i, output.getInt());
    if (error.empty() && !taken.try_emplace(output.getInt(), i).second)
      error = "inputs '" + inputs[taken[output.getInt()]] + "' and '" + inputs[i] + "' are both donated to output '" +
              outputs[output.getInt()] + "'";
    if (!error.empty())
      return failure();
  }
  return success();
}

namespace {

class CheckDonationsPass : public impl::CheckDonationsPassBase<CheckDonationsPass> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<std::pair<unsigned, unsigned>> donations;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (auto output = function.getArgAttrOfType<IntegerAttr>(i, kDonateAttr))
        donations.emplace_back(i, output.getInt());
    if (donations.empty())
      return;
    ShapeState shapes;
    if (failed(inferFunction(function, shapes)))
      return signalPassFailure();
    Operation *terminator = function.getBody().front().getTerminator();
    for (auto [input, output] : donations) {
      std::optional<SymDims> is = shapes.getDims(function.getArgument(input)),
                             becomes = shapes.getDims(terminator->getOperand(output));
      if (!is || !becomes)
        continue;
      // What may be equal is compared while the model runs.
      for (auto [a, b] : llvm::zip_equal(*is, *becomes))
        if (SymExpr difference = a - b; difference.isConst() && difference.getConst() != 0) {
          Type type = function.getArgument(input).getType();
          function.emitError(cannotBe(nameOf(function, input, false), describe(type, *is),
                                      nameOf(function, output, true), describe(type, *becomes)));
          return signalPassFailure();
        }
    }
  }
};

} // namespace
} // namespace ds
