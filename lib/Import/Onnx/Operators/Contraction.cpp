//===- Contraction.cpp - Matrix products and Einsum -----------------------===//
// Assumes: see Node.h.
// Guarantees: every contraction is a ds.matmul between transposes and reshapes.
// Declines: Einsum's contraction of a dimension of 1 with a larger one.

#include "../Node.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace ds;
using namespace ds::importer;

/// The determinant of the last two dims by Laplace's expansion along the first row, `rows` and `columns` being what is
/// left of them: a handful of products for the matrices that models have.
static Value minorOf(Node &n, function_ref<Value(int64_t, int64_t)> entry, int64_t row, ArrayRef<int64_t> columns) {
  if (columns.size() == 1)
    return entry(row, columns[0]);
  Value sum;
  for (auto [i, column] : enumerate(columns)) {
    Ints rest(columns);
    rest.erase(rest.begin() + i);
    Value term = n.mul(entry(row, column), minorOf(n, entry, row + 1, rest));
    sum = !sum ? term : i % 2 ? n.sub(sum, term) : n.add(sum, term);
  }
  return sum;
}

static void det(Node &n) {
  constexpr int64_t kMost = 4;
  Value x = n.in(0);
  int64_t rank = n.rank(x);
  if (rank < 2)
    return (void)n.fail("needs a tensor of rank 2 or more");
  int64_t size = n.staticDim(x, rank - 1, "the input");
  if (n.failed || n.staticDim(x, rank - 2, "the input") != size)
    return (void)n.fail("needs square matrices");
  if (size < 1 || size > kMost)
    return (void)n.fail("determinants of matrices of 1 to " + Twine(kMost) + " rows are supported, not of " +
                        Twine(size));
  SymDims leading = n.dims(x);
  leading.resize(rank - 2);
  auto entry = [&](int64_t row, int64_t column) {
    Value at = n.sliceAxis(x, rank - 2, SymExpr(row), SymExpr(1));
    return n.reshape(n.sliceAxis(at, rank - 1, SymExpr(column), SymExpr(1)), leading);
  };
  n.set(0, minorOf(n, entry, 0, span(0, size)));
}

static void matmul(Node &n) { n.set(0, n.matmul(n.in(0), n.in(1))); }

static void gemm(Node &n) {
  Value a = n.in(0), c = n.in(1), bias = n.in(2);
  if (n.rank(a) != 2 || n.rank(c) != 2)
    return (void)n.fail("needs matrices, but the operands have rank " + Twine(n.rank(a)) + " and " + Twine(n.rank(c)));
  if (n.getInt("transA", 0))
    a = n.transpose(a, {1, 0});
  if (n.getInt("transB", 0))
    c = n.transpose(c, {1, 0});
  Value result = n.matmul(a, c);
  Type element = n.elem(a);
  double alpha = n.getFloat("alpha", 1), beta = bias ? n.getFloat("beta", 1) : 0;
  if (!n.isFloat(a) && (alpha != std::trunc(alpha) || beta != std::trunc(beta))) { // no integers
    result = n.cast(result, n.b.getF64Type());
    bias = bias ? n.cast(bias, n.b.getF64Type()) : bias;
  }
  if (alpha != 1)
    result = n.mul(result, alpha);
  if (beta != 0)
    result = n.add(result, beta == 1 ? bias : n.mul(bias, beta));
  n.set(0, n.cast(result, element));
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

namespace {
/// A tensor whose dims are named by letters; the dims of an ellipsis are the letters '0', '1', ... from its last dim.
struct Term {
  Value value;
  std::string letters;
};

class Einsum {
public:
  explicit Einsum(Node &n) : n(n) {}
  Value run();

private:
  bool parse();
  std::string expandEllipsis(StringRef letters, unsigned rank);
  Term takeDiagonals(Term term);
  Term sumOut(Term term, StringRef keep);
  Term contract(Term a, Term c, StringRef keep);
  Value arrange(const Term &term, StringRef order);

  Node &n;
  SmallVector<Term> terms;
  std::string output;
};
} // namespace

std::string Einsum::expandEllipsis(StringRef letters, unsigned rank) {
  size_t dots = letters.find("...");
  if (dots == StringRef::npos)
    return letters.str();
  unsigned named = letters.size() - 3, hidden = rank >= named ? rank - named : 0;
  std::string inner;
  for (unsigned i = hidden; i-- > 0;)
    inner += char('0' + i);
  return (letters.take_front(dots) + inner + letters.drop_front(dots + 3)).str();
}

bool Einsum::parse() {
  std::string equation = n.getString("equation", "");
  llvm::erase(equation, ' ');
  auto [left, right] = StringRef(equation).split("->");
  bool explicitOutput = StringRef(equation).contains("->");
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  if (parts.size() != n.inputs.size()) {
    n.fail("the equation '" + equation + "' has " + Twine(parts.size()) + " operands, but the node has " +
           Twine(n.inputs.size()));
    return false;
  }
  unsigned widest = 0;
  auto wellFormed = [&](StringRef text) {
    std::string rest = text.str();
    if (size_t dots = rest.find("..."); dots != std::string::npos)
      rest.erase(dots, 3);
    return all_of(rest, [](char c) { return isAlpha(c); });
  };
  for (auto [part, value] : zip(parts, n.inputs)) {
    unsigned rank = n.rank(value);
    std::string letters = expandEllipsis(part, rank);
    if (!wellFormed(part) || letters.size() != rank || rank > 10 + part.size()) {
      n.fail("the term '" + part + "' of the equation does not fit an operand of rank " + Twine(rank));
      return false;
    }
    for (char c : letters)
      if (isDigit(c))
        widest = std::max(widest, unsigned(c - '0') + 1);
    terms.push_back({value, letters});
  }
  if (explicitOutput) {
    if (!wellFormed(right)) {
      n.fail("the output term '" + right + "' of the equation is malformed");
      return false;
    }
    output = expandEllipsis(right, (right.contains("...") ? right.size() - 3 : right.size()) + widest);
  } else {
    for (unsigned i = widest; i-- > 0;)
      output += char('0' + i);
    std::string once;
    for (char c = 'A'; c <= 'z'; ++c) {
      unsigned count = 0;
      for (const Term &term : terms)
        count += StringRef(term.letters).count(c);
      if (isAlpha(c) && count == 1)
        once += c;
    }
    output += once;
  }
  for (char c : output)
    if (StringRef(output).count(c) > 1 ||
        none_of(terms, [&](const Term &term) { return StringRef(term.letters).contains(c); })) {
      n.fail("the equation's output names '" + Twine(c) + "' twice, or no operand has it");
      return false;
    }
  return true;
}

/// A letter twice in one term: keeps the diagonal of those dims, by a mask and a sum.
Term Einsum::takeDiagonals(Term term) {
  for (size_t i = 0; i < term.letters.size() && !n.failed; ++i) {
    size_t j = term.letters.find(term.letters[i], i + 1);
    if (j == std::string::npos)
      continue;
    std::string order;
    Ints perm;
    for (size_t k = 0; k < term.letters.size(); ++k)
      if (k != i && k != j) {
        order += term.letters[k];
        perm.push_back(k);
      }
    perm.append({int64_t(i), int64_t(j)});
    order += term.letters[i];
    Value moved = n.transpose(term.value, perm);
    SymExpr size = n.dim(term.value, i);
    Type i64 = n.b.getI64Type();
    Value index = n.make<RangeOp>({n.intScalar(0, i64), n.shapeValue({size}, true), n.intScalar(1, i64)});
    Value mask = n.compare(ComparePredicate::eq, n.unsqueeze(index, {1}), n.unsqueeze(index, {0}));
    Value kept = n.select(mask, moved, n.scalar(0, n.elem(moved)));
    term = {n.reduce<ReduceSumOp>(kept, {int64_t(perm.size()) - 1}, false), order};
    i = size_t(-1); // positions moved: look again from the start
  }
  return term;
}

Term Einsum::sumOut(Term term, StringRef keep) {
  Ints axes;
  std::string rest;
  for (auto [index, c] : enumerate(term.letters)) {
    if (keep.contains(c))
      rest += c;
    else
      axes.push_back(index);
  }
  return axes.empty() ? term : Term{n.reduce<ReduceSumOp>(term.value, axes, false), rest};
}

/// The dims in the given order; letters that the term lacks become dims of 1.
Value Einsum::arrange(const Term &term, StringRef order) {
  Ints perm, missing;
  for (auto [index, c] : enumerate(order)) {
    size_t at = term.letters.find(c);
    if (at == std::string::npos)
      missing.push_back(index);
    else
      perm.push_back(at);
  }
  return n.unsqueeze(n.transpose(term.value, perm), missing);
}

Term Einsum::contract(Term a, Term c, StringRef keep) {
  std::string shared, summed, left, right;
  for (char letter : a.letters) {
    if (!StringRef(c.letters).contains(letter))
      left += letter;
    else
      (keep.contains(letter) ? shared : summed) += letter;
  }
  for (char letter : c.letters)
    if (!StringRef(a.letters).contains(letter))
      right += letter;
  auto dimsOf = [&](const Term &term, StringRef letters) {
    SymDims dims;
    for (char letter : letters)
      dims.push_back(n.dim(term.value, term.letters.find(letter)));
    return dims;
  };
  SymDims leftDims = dimsOf(a, left), rightDims = dimsOf(c, right);
  auto flat = [&](const Term &term, StringRef rows, StringRef columns) {
    SymDims dims = dimsOf(term, shared);
    dims.push_back(product(dimsOf(term, rows)));
    dims.push_back(product(dimsOf(term, columns)));
    return n.reshape(arrange(term, (shared + rows + columns).str()), dims);
  };
  Value result = n.matmul(flat(a, left, summed), flat(c, summed, right));
  if (n.failed)
    return {};
  SymDims dims = n.dims(result);
  dims.truncate(shared.size());
  dims.append(leftDims);
  dims.append(rightDims);
  return {n.reshape(result, dims), shared + left + right};
}

Value Einsum::run() {
  if (!parse())
    return {};
  for (Term &term : terms)
    term = takeDiagonals(term);
  Term result = terms[0];
  for (size_t i = 1; i <= terms.size() && !n.failed; ++i) {
    std::string keep = output; // letters that anything later needs
    for (size_t j = i + 1; j < terms.size(); ++j)
      keep += terms[j].letters;
    if (i == terms.size()) {
      result = sumOut(result, keep);
      break;
    }
    result = sumOut(result, keep + terms[i].letters);
    result = contract(result, sumOut(terms[i], keep + result.letters), keep);
  }
  return n.failed ? Value() : arrange(result, output);
}

static void einsum(Node &n) { n.set(0, Einsum(n).run()); }

void ds::importer::registerContraction(Registry &r) {
  r.add("MatMul", matmul);
  r.add("Det", det);
  r.add("Gemm", gemm);
  r.add("Einsum", einsum);
}
