//===- FoldPacking.cpp - Compute packed weights ---------------------------===//
// Assumes: ds-pack ran; the context holds one model.
// Guarantees: packings and depthwise filters that follow from constants are constants, equal ones of one resource are
//   one resource; every resource that no op of the module refers to is freed, each as soon as its last reader is gone.
// Declines: ops without FoldOpInterface in such a chain.
//===----------------------------------------------------------------------===//
#include "dialects/ds/fold/ConstantData.h"
#include "dialects/ds/ir/DsOps.h"
#include "ds/Codegen/CPU/Passes.h"
#include "lib/Codegen/CPU/WinogradForm.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Threading.h"

using namespace mlir;

namespace ds {
#define GEN_PASS_DEF_FOLDPACKINGPASS
#include "ds/Codegen/CPU/Passes.h.inc"

namespace {
class FoldPackingPass : public impl::FoldPackingPassBase<FoldPackingPass> {
public:
  using FoldPackingPassBase::FoldPackingPassBase;
  void runOnOperation() override;

private:
  /// Replaces `op` by a constant if its operands can be made constants first; these are folded too.
  ConstantOp fold(Operation *op);
  ElementsAttr compute(Operation *op, ArrayRef<ElementsAttr> operands);
  /// Puts a constant in the place of `op`.
  ConstantOp replace(Operation *op, ElementsAttr value);
  Attribute keyOf(Operation *op);
  ElementsAttr findMade(Attribute key);
  void eraseDead(Operation *op);
  void erase(ConstantOp constant);
  void freeOrphans();

  /// Constants that hold each resource.
  llvm::DenseMap<const void *, int64_t> holders;
  /// What was computed, by keyOf. The data of what no constant holds any more is gone.
  llvm::DenseMap<Attribute, ElementsAttr> made;
  /// What keyOf said, and of a constant what it said of the op whose place that took. Ops that are erased leave.
  llvm::DenseMap<Operation *, Attribute> keys;
};
} // namespace

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

namespace {
/// Where the elements of the matrices that are packed lie in the operand. A row number is outer * inner + i.
struct PackedForm {
  int64_t matrices, matrixStride;
  int64_t outer, outerStride, inner, innerStride;
  int64_t columns, columnStride;
  int64_t tile;
};
} // namespace

/// `panel` of a matrix; what its last columns lack stays zero.
template <typename T> static void packPanel(const T *from, T *to, const PackedForm &form, int64_t panel) {
  from += panel * form.tile * form.columnStride;
  int64_t width = std::min(form.tile, form.columns - panel * form.tile);
  // Blocks of rows, so that what one column brings into the cache serves the rows beside it.
  constexpr int64_t kBlock = 64;
  for (int64_t o = 0; o < form.outer; ++o, to += form.inner * form.tile) {
    const T *in = from + o * form.outerStride;
    if (form.columnStride == 1) {
      for (int64_t i = 0; i < form.inner; ++i)
        std::copy_n(in + i * form.innerStride, width, to + i * form.tile);
      continue;
    }
    for (int64_t begin = 0; begin < form.inner; begin += kBlock)
      for (int64_t j = 0; j < width; ++j)
        for (int64_t i = begin, end = std::min(form.inner, begin + kBlock); i < end; ++i)
          to[i * form.tile + j] = in[i * form.innerStride + j * form.columnStride];
  }
}

template <typename T>
static void packAs(MLIRContext *context, ArrayRef<char> from, MutableArrayRef<char> to, const PackedForm &form) {
  int64_t panels = llvm::divideCeil(form.columns, form.tile), panelSize = form.outer * form.inner * form.tile;
  auto *source = reinterpret_cast<const T *>(from.data());
  auto *target = reinterpret_cast<T *>(to.data());
  parallelFor(context, 0, form.matrices * panels, [&](size_t item) {
    int64_t matrix = int64_t(item) / panels;
    packPanel(source + matrix * form.matrixStride, target + int64_t(item) * panelSize, form, int64_t(item) % panels);
  });
}

static ElementsAttr packConstant(ElementsAttr source, RankedTensorType type, PackedForm form) {
  std::optional<ElementsView> view = ElementsView::get(source);
  if (!view)
    return {};
  // A splat's one element stands for all of them.
  if (view->isSplat())
    form.matrixStride = form.outerStride = form.innerStride = form.columnStride = 0;
  return writeElements(type, resourceName(source), [&](MutableArrayRef<char> result) {
    switch (getElementBytes(view->getKind())) {
    case 1:
      return packAs<uint8_t>(type.getContext(), view->bytes(), result, form);
    case 2:
      return packAs<uint16_t>(type.getContext(), view->bytes(), result, form);
    case 4:
      return packAs<uint32_t>(type.getContext(), view->bytes(), result, form);
    default:
      return packAs<uint64_t>(type.getContext(), view->bytes(), result, form);
    }
  });
}

static PackedForm formOf(PackOp op) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getW().getType()).getShape();
  int64_t matrices = 1, rows = shape[shape.size() - 2], columns = shape.back();
  for (int64_t size : shape.drop_back(2))
    matrices *= size;
  if (op.getTransposed())
    return {matrices, rows * columns, 1, 0, columns, 1, rows, columns, int64_t(op.getTile())};
  return {matrices, rows * columns, 1, 0, rows, columns, columns, 1, int64_t(op.getTile())};
}

/// A group is a matrix: its outputs are the columns, its rows run over the window, then its channels.
static PackedForm formOf(PackFilterOp op) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getW().getType()).getShape();
  int64_t group = op.getGroup(), perGroup = shape[0] / group, window = shape[2] * shape[3], depth = shape[1] * window;
  return {group, perGroup * depth, window, 1, shape[1], window, perGroup, depth, int64_t(op.getTile())};
}

/// G w G^T of every filter, in double precision.
static ElementsAttr transformFilter(ElementsAttr source, WinogradFilterOp op) {
  std::optional<ElementsView> view = ElementsView::get(source);
  if (!view)
    return {};
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op.getW().getType()).getShape();
  auto type = cast<RankedTensorType>(op.getResult().getType());
  int64_t outputs = shape[0], channels = shape[1], tile = op.getTile();
  const WinogradForm &form = winogradForm(op.getOutputs());
  int64_t side = form.side, positions = side * side;
  auto *from = reinterpret_cast<const float *>(view->bytes().data());
  int64_t stride = view->isSplat() ? 0 : 1;
  return writeElements(type, resourceName(source), [&](MutableArrayRef<char> result) {
    auto *to = reinterpret_cast<float *>(result.data());
    parallelFor(type.getContext(), 0, llvm::divideCeil(outputs, tile), [&](size_t panel) {
      SmallVector<double> half(side * 3);
      for (int64_t lane = 0; lane < std::min<int64_t>(tile, outputs - panel * tile); ++lane)
        for (int64_t c = 0; c < channels; ++c) {
          const float *w = from + ((panel * tile + lane) * channels + c) * 9 * stride;
          for (int64_t i = 0; i < side; ++i)
            for (int64_t s = 0; s < 3; ++s) {
              double sum = 0;
              for (int64_t r = 0; r < 3; ++r)
                sum += form.filter[i * 3 + r] * w[(r * 3 + s) * stride];
              half[i * 3 + s] = sum;
            }
          for (int64_t i = 0; i < side; ++i)
            for (int64_t j = 0; j < side; ++j) {
              double sum = 0;
              for (int64_t s = 0; s < 3; ++s)
                sum += half[i * 3 + s] * form.filter[j * 3 + s];
              to[((panel * positions + i * side + j) * channels + c) * tile + lane] = static_cast<float>(sum);
            }
        }
    });
  });
}

//===----------------------------------------------------------------------===//
// Folding
//===----------------------------------------------------------------------===//

static bool isStatic(Operation *op) {
  return op->getNumResults() == 1 && cast<RankedTensorType>(op->getResult(0).getType()).hasStaticShape();
}

/// Register tiles read packed data from memory, also where all elements are equal and few: such a literal would be
/// taken into the kernel as a number.
static ElementsAttr inMemory(ElementsAttr packed) {
  auto literal = dyn_cast_if_present<DenseElementsAttr>(packed);
  if (!literal || !literal.isSplat())
    return packed;
  ArrayRef<char> element = literal.getRawData();
  std::vector<char> bytes;
  for (int64_t i = 0; i < literal.getNumElements(); ++i)
    bytes.insert(bytes.end(), element.begin(), element.end());
  return DenseResourceElementsAttr::get(literal.getType(), "packed",
                                        HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64));
}

ElementsAttr FoldPackingPass::compute(Operation *op, ArrayRef<ElementsAttr> operands) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (auto pack = dyn_cast<PackOp>(op))
    return inMemory(packConstant(operands[0], type, formOf(pack)));
  if (auto filter = dyn_cast<PackFilterOp>(op))
    return inMemory(packConstant(operands[0], type, formOf(filter)));
  if (auto filter = dyn_cast<WinogradFilterOp>(op))
    return inMemory(transformFilter(operands[0], filter));
  if (auto transpose = dyn_cast<TransposeOp>(op))
    return transposeConstant(operands[0], transpose.getPerm());
  if (isa<ReshapeOp>(op))
    return reshapeConstant(operands[0], type);
  if (auto slice = dyn_cast<SliceOp>(op); slice && slice.getStart())
    if (std::optional<SmallVector<int64_t>> start = slice.getStart()->getConstants())
      return sliceConstant(operands[0], type, *start, *slice.getStep());
  auto foldable = dyn_cast<FoldOpInterface>(op);
  SmallVector<ElementsView> views;
  for (ElementsAttr operand : operands) {
    std::optional<ElementsView> view = ElementsView::get(operand);
    if (!view)
      return {};
    views.push_back(*view);
  }
  FailureOr<std::vector<char>> bytes = foldable ? foldable.evaluate(views) : FailureOr<std::vector<char>>(failure());
  return succeeded(bytes) ? makeElements(type, std::move(*bytes), "folded") : ElementsAttr();
}

static bool isFoldable(Operation *op) {
  return op->getNumOperands() != 0 && isStatic(op) && isPure(op) && op->getNumRegions() == 0;
}

/// What `op` computes from constants, down to these: equal keys, equal values. Null where it needs more than constants.
Attribute FoldPackingPass::keyOf(Operation *op) {
  if (!op)
    return {};
  if (auto known = keys.find(op); known != keys.end())
    return known->second;
  Attribute key;
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    key = constant.getValue();
  } else if (isFoldable(op)) {
    Builder b(&getContext());
    SmallVector<Attribute> parts{b.getStringAttr(op->getName().getStringRef()), op->getAttrDictionary(),
                                 TypeAttr::get(op->getResult(0).getType())};
    for (Value operand : op->getOperands())
      parts.push_back(keyOf(operand.getDefiningOp()));
    if (!llvm::is_contained(parts, Attribute()))
      key = b.getArrayAttr(parts);
  }
  return keys[op] = key;
}

ElementsAttr FoldPackingPass::findMade(Attribute key) {
  ElementsAttr value = key ? made.lookup(key) : ElementsAttr();
  auto resource = dyn_cast_if_present<DenseResourceElementsAttr>(value);
  return resource && holders.lookup(resource.getRawHandle().getResource()) == 0 ? ElementsAttr() : value;
}

ConstantOp FoldPackingPass::replace(Operation *op, ElementsAttr value) {
  OpBuilder builder(op);
  auto constant = ConstantOp::create(builder, op->getLoc(), value);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    ++holders[resource.getRawHandle().getResource()];
  keys[constant] = keyOf(op);
  op->getResult(0).replaceAllUsesWith(constant);
  eraseDead(op);
  return constant;
}

/// Erases an op without users, and what only served it.
void FoldPackingPass::eraseDead(Operation *op) {
  if (!op->use_empty())
    return;
  if (auto constant = dyn_cast<ConstantOp>(op))
    return erase(constant);
  llvm::SmallSetVector<Operation *, 4> producers;
  for (Value operand : op->getOperands())
    producers.insert(operand.getDefiningOp());
  keys.erase(op);
  op->erase();
  for (Operation *producer : producers)
    eraseDead(producer);
}

ConstantOp FoldPackingPass::fold(Operation *op) {
  if (auto constant = dyn_cast_or_null<ConstantOp>(op))
    return constant;
  if (!op || !isFoldable(op))
    return {};
  Attribute key = keyOf(op);
  if (ElementsAttr known = findMade(key))
    return replace(op, known);
  SmallVector<ConstantOp> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(fold(operand.getDefiningOp()));
    if (!operands.back())
      return {};
  }
  SmallVector<ElementsAttr> values;
  for (ConstantOp operand : operands)
    values.push_back(operand.getValue());
  ElementsAttr value = compute(op, values);
  if (!value)
    return {};
  made[key] = value;
  return replace(op, value);
}

static DialectResourceBlobManager &blobManager(MLIRContext *context) {
  return context->getLoadedDialect<BuiltinDialect>()
      ->getRegisteredInterface<ResourceBlobManagerDialectInterface>()
      ->getBlobManager();
}

/// Frees the data with the last constant that holds it.
void FoldPackingPass::erase(ConstantOp constant) {
  if (!constant->use_empty())
    return;
  auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
  keys.erase(constant);
  constant.erase();
  if (!resource)
    return;
  DenseResourceElementsHandle handle = resource.getRawHandle();
  if (--holders[handle.getResource()] == 0)
    blobManager(&getContext()).update(handle.getKey(), AsmResourceBlob());
}

/// Resources that earlier passes replaced.
void FoldPackingPass::freeOrphans() {
  SmallVector<std::string> orphans;
  blobManager(&getContext()).getBlobMap([&](const llvm::StringMap<DialectResourceBlobManager::BlobEntry> &blobs) {
    for (const auto &entry : blobs)
      if (entry.getValue().getBlob() && holders.lookup(&entry.getValue()) == 0)
        orphans.push_back(entry.getKey().str());
  });
  for (StringRef name : orphans)
    blobManager(&getContext()).update(name, AsmResourceBlob());
}

void FoldPackingPass::runOnOperation() {
  SmallVector<Operation *> roots;
  SmallVector<ConstantOp> constants;
  getOperation().walk([&](Operation *op) {
    if (isa<PackOp, PackFilterOp, WinogradFilterOp>(op))
      roots.push_back(op);
    else if (auto depthwise = dyn_cast<DepthwiseOp>(op))
      if (Operation *filter = depthwise.getW().getDefiningOp(); filter && !isa<ConstantOp>(filter))
        roots.push_back(filter);
    if (auto constant = dyn_cast<ConstantOp>(op)) {
      constants.push_back(constant);
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue()))
        ++holders[resource.getRawHandle().getResource()];
    } else {
      // Tensors that an operator has as attributes stay.
      op->getAttrDictionary().walk(
          [&](DenseResourceElementsAttr resource) { ++holders[resource.getRawHandle().getResource()]; });
    }
  });
  for (ConstantOp constant : constants)
    erase(constant);
  freeOrphans();
  // Two convolutions may share a filter that is no constant yet.
  for (Operation *root : llvm::SmallSetVector<Operation *, 16>(roots.begin(), roots.end()))
    fold(root);
}

} // namespace ds
