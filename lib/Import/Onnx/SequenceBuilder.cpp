//===- SequenceBuilder.cpp - Ops on sequences that the run makes ----------===//
// Guarantees: see SequenceBuilder.h.
//===----------------------------------------------------------------------===//
#include "SequenceBuilder.h"

#include "DataShapes.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

Value SequenceBuilder::flat(Value x) {
  if (n.rank(x) == 1)
    return x;
  SymExpr count = product(n.dims(x));
  // Dims that are not read yet are no expressions.
  return n.shapes.isKnownOnEntry(count) ? n.reshape(x, {count}) : n.make<ReshapeOp>({x, n.ints({-1})});
}

Value SequenceBuilder::row(Value x) {
  if (n.rank(x) == 0)
    return n.fill({SymExpr(1), SymExpr(0)}, 0, n.b.getI64Type());
  return n.unsqueeze(n.make<ShapeOfOp>({x}, {}, n.b.getI64Type()), {0});
}

Sequence SequenceBuilder::empty(Type element, unsigned rank, bool isMixed) {
  if (isMixed)
    rank = unsigned(Width);
  return {n.fill({SymExpr(0)}, 0, element), n.fill({SymExpr(0), SymExpr(int64_t(rank))}, 0, n.b.getI64Type()), isMixed};
}

Sequence SequenceBuilder::of(ArrayRef<Value> values) {
  SmallVector<Value> data, rows;
  bool isMixed = any_of(values, [&](Value value) { return n.rank(value) != n.rank(values[0]); });
  for (Value value : values) {
    data.push_back(flat(value));
    rows.push_back(isMixed ? padded(row(value)) : row(value));
  }
  return {n.concat(data, 0), n.concat(rows, 0), isMixed};
}

Value SequenceBuilder::padded(Value rows) {
  SymExpr width = n.dim(rows, 1), rest = SymExpr(Width) - width;
  if (width.isConst() && width.getConst() > Width)
    n.fail("an element of rank " + Twine(width.getConst()) + " in a sequence of elements of different rank; at most " +
           Twine(Width) + " is supported");
  return rest.isConst(0) ? rows : n.concat({rows, n.fill({n.dim(rows, 0), rest}, -1, n.b.getI64Type())}, 1);
}

Sequence SequenceBuilder::mixed(const Sequence &s) { return s.isMixed ? s : Sequence{s.data, padded(s.shapes), true}; }

Value SequenceBuilder::ranks(const Sequence &s) {
  Value isDim = n.cast(n.compare(ComparePredicate::ge, s.shapes, zero()), n.b.getI64Type());
  return n.reduce<ReduceSumOp>(isDim, {1}, /*keepdims=*/false);
}

Value SequenceBuilder::highestRank(const Sequence &s) {
  return n.reduce<ReduceMaxOp>(n.concat({ranks(s), n.ints({0})}, 0), {0}, /*keepdims=*/true);
}

Sequence SequenceBuilder::uniform(const Sequence &s, int64_t rank) {
  return {s.data, n.sliceAxis(s.shapes, 1, SymExpr(0), SymExpr(rank))};
}

Value SequenceBuilder::lowestRank(const Sequence &s, int64_t rank) {
  return n.reduce<ReduceMinOp>(n.concat({ranks(s), n.ints({rank})}, 0), {0}, /*keepdims=*/true);
}

Sequence SequenceBuilder::boxedAt(const Sequence &s, Value position) {
  Value p = place(s, position);
  SmallVector<SymExpr> numbers =
      bind({n.make<GatherOp>({starts(s), p}), n.make<GatherOp>({sizes(s), p}), n.make<GatherOp>({ranks(s), p})});
  if (n.failed)
    return s;
  return {cut(s.data, numbers[0], numbers[1]), n.sliceAxis(n.make<GatherOp>({s.shapes, p}), 1, SymExpr(0), numbers[2])};
}

SymExpr SequenceBuilder::count(const Sequence &s) { return n.dim(s.shapes, 0); }

SymExpr SequenceBuilder::length(const Sequence &s) { return n.dim(s.data, 0); }

Value SequenceBuilder::at(const Sequence &s, Value position) {
  Value p = place(s, position);
  SmallVector<SymExpr> numbers = bind({n.make<GatherOp>({starts(s), p}), rowAt(s, p)});
  return n.failed ? Value() : element(s, numbers[0], ArrayRef(numbers).drop_front());
}

Sequence SequenceBuilder::insert(const Sequence &s, Value x, Value position) {
  Value dims = s.isMixed ? padded(row(x)) : row(x);
  if (!position)
    return {n.concat({s.data, flat(x)}, 0), n.concat({s.shapes, dims}, 0), s.isMixed};
  Value p = place(s, position), bounds = n.concat({starts(s), total(s)}, 0);
  SmallVector<SymExpr> numbers = bind({p, n.make<GatherOp>({bounds, p})});
  if (n.failed)
    return s;
  SymExpr index = numbers[0], offset = numbers[1];
  return {n.concat({cut(s.data, SymExpr(0), offset), flat(x), cut(s.data, offset, length(s) - offset)}, 0),
          n.concat({cut(s.shapes, SymExpr(0), index), dims, cut(s.shapes, index, count(s) - index)}, 0), s.isMixed};
}

Sequence SequenceBuilder::erase(const Sequence &s, Value position) {
  Value p = position ? place(s, position) : n.sub(countOf(s), 1);
  SmallVector<SymExpr> numbers = bind({p, n.make<GatherOp>({starts(s), p}), n.make<GatherOp>({sizes(s), p})});
  if (n.failed)
    return s;
  SymExpr index = numbers[0], offset = numbers[1], end = numbers[1] + numbers[2];
  return {
      n.concat({cut(s.data, SymExpr(0), offset), cut(s.data, end, length(s) - end)}, 0),
      n.concat({cut(s.shapes, SymExpr(0), index), cut(s.shapes, index + SymExpr(1), count(s) - index - SymExpr(1))}, 0),
      s.isMixed};
}

Value SequenceBuilder::joined(const Sequence &s, bool fresh) {
  // The first element tells the other dims; `data` holds no more nor less.
  Value first = rowAt(s, n.ints({0}));
  SmallVector<SymExpr> dims = bind({first});
  if (n.failed)
    return {};
  SymDims result;
  if (fresh) {
    result.push_back(count(s));
  } else {
    Value rows = n.reduce<ReduceSumOp>(n.sliceAxis(s.shapes, 1, SymExpr(0), SymExpr(1)), {0, 1}, /*keepdims=*/false);
    result.push_back(bind({rows})[0]);
    dims.erase(dims.begin());
  }
  result.append(dims.begin(), dims.end());
  return n.reshape(s.data, result);
}

Sequence SequenceBuilder::split(Value x, Value lengths, bool squeeze) {
  SymExpr parts = n.dim(lengths, 0);
  Value first = n.unsqueeze(lengths, {1});
  Ints rest = span(1, n.rank(x));
  Value dims = n.make<ShapeOfOp>({x}, {n.i64("start", 1)}, n.b.getI64Type());
  Value rows = n.expand(n.unsqueeze(dims, {0}), {parts, SymExpr(int64_t(rest.size()))});
  return {flat(x), squeeze ? rows : n.concat({first, rows}, 1)};
}

Value SequenceBuilder::countOf(const Sequence &s) {
  return n.make<ShapeOfOp>({s.shapes}, {n.i64("end", 1)}, n.b.getI64Type());
}

Value SequenceBuilder::cut(Value x, const SymExpr &start, const SymExpr &size) {
  return n.sliceAxis(x, 0, start, size);
}

Value SequenceBuilder::element(const Sequence &s, const SymExpr &offset, ArrayRef<SymExpr> dims) {
  return n.reshape(cut(s.data, offset, product(dims)), dims);
}

Value SequenceBuilder::sizes(const Sequence &s) {
  Value dims = s.shapes;
  if (s.isMixed)
    dims = n.select(n.compare(ComparePredicate::lt, dims, zero()), n.intScalar(1, n.b.getI64Type()), dims);
  return n.reduce<ReduceProdOp>(dims, {1}, /*keepdims=*/false);
}

Value SequenceBuilder::zero() { return n.intScalar(0, n.b.getI64Type()); }

Value SequenceBuilder::starts(const Sequence &s) {
  return n.make<CumSumOp>({sizes(s)}, {n.i64("axis", 0), n.unit("exclusive")});
}

Value SequenceBuilder::total(const Sequence &s) { return n.make<ShapeOfOp>({s.data}, {}, n.b.getI64Type()); }

Value SequenceBuilder::rowAt(const Sequence &s, Value p) {
  return n.reshape(n.make<GatherOp>({s.shapes, p}), {SymExpr(int64_t(s.rank()))});
}

Value SequenceBuilder::place(const Sequence &s, Value position) {
  Value p = n.reshape(n.cast(position, n.b.getI64Type()), {SymExpr(1)});
  Value negative = n.compare(ComparePredicate::lt, p, n.ints({0}));
  return n.select(negative, n.add(p, countOf(s)), p);
}

SmallVector<SymExpr> SequenceBuilder::bind(ArrayRef<Value> lists) {
  SmallVector<Value> flattened;
  for (Value list : lists)
    flattened.push_back(n.rank(list) == 1 ? list : n.reshape(list, {product(n.dims(list))}));
  Value all = n.concat(flattened, 0);
  return n.failed ? SmallVector<SymExpr>(MaxNumbers) : sizesOf(n, all, "sequence");
}
