//===- SymExprTable.cpp - Equal expressions are one object ----------------===//
// Guarantees: an object for each different atom and sum that somebody holds, freed with the last reference. Objects are
//   found under the lock of their part of a table, and the last reference goes under that lock, so that no object is
//   found while it dies. Freeing recurses as deep as the expression is nested: kMaxDepth.
//===----------------------------------------------------------------------===//
#include "dialects/ds/shape/SymExprDetail.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <array>
#include <mutex>
#include <unordered_set>

namespace ds {

namespace {
template <typename T, typename KeyT> class Table {
public:
  template <typename Make> const T *findOrMake(const KeyT &key, Make make) {
    Part &part = partOf(key.hash);
    std::lock_guard lock(part.mutex);
    if (auto found = part.objects.find(key); found != part.objects.end()) {
      KeyT::references(**found).fetch_add(1, std::memory_order_relaxed);
      return *found;
    }
    return *part.objects.insert(make()).first;
  }

  /// One reference less, where that may be the last one; true if it was: the caller frees the object.
  bool drop(const T *object) {
    Part &part = partOf(KeyT::hashOf(*object));
    std::lock_guard lock(part.mutex);
    if (KeyT::references(*object).fetch_sub(1, std::memory_order_acq_rel) != 1)
      return false;
    part.objects.erase(object);
    return true;
  }

  size_t size() {
    size_t sum = 0;
    for (Part &part : parts) {
      std::lock_guard lock(part.mutex);
      sum += part.objects.size();
    }
    return sum;
  }

private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(const T *object) const { return KeyT::hashOf(*object); }
    size_t operator()(const KeyT &key) const { return key.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const T *a, const T *b) const { return a == b; }
    bool operator()(const KeyT &key, const T *object) const { return key.matches(*object); }
    bool operator()(const T *object, const KeyT &key) const { return key.matches(*object); }
  };
  struct Part {
    std::mutex mutex;
    std::unordered_set<const T *, Hash, Equal> objects;
  };
  // Kernels are generated in parallel.
  static constexpr size_t kParts = 64;
  Part &partOf(size_t hash) { return parts[(hash >> 7) % kParts]; }
  std::array<Part, kParts> parts;
};
} // namespace

struct SymExprDetail::AtomTable {
  struct Key {
    AtomKind kind;
    std::string_view name;
    const void *a, *b;
    size_t hash;
    bool matches(const SymAtom &atom) const {
      return atom.kind == kind && atom.a.id() == a && atom.b.id() == b && atom.name == name;
    }
    static size_t hashOf(const SymAtom &atom) { return atom.hash; }
    static std::atomic<uint32_t> &references(const SymAtom &atom) { return atom.references; }
  };
  Table<SymAtom, Key> table;
  // Never destroyed: expressions of static lifetime outlive every other one.
  static Table<SymAtom, Key> &get() {
    static auto *instance = new AtomTable;
    return instance->table;
  }
};

struct SymExprDetail::NodeTable {
  struct Key {
    const std::vector<Term> &terms;
    size_t hash;
    bool matches(const SymNode &node) const {
      return std::equal(
          terms.begin(), terms.end(), node.terms.begin(), node.terms.end(),
          [](const Term &x, const Term &y) { return x.coefficient == y.coefficient && x.monomial == y.monomial; });
    }
    static size_t hashOf(const SymNode &node) { return node.hash; }
    static std::atomic<uint32_t> &references(const SymNode &node) { return node.references; }
  };
  Table<SymNode, Key> table;
  static Table<SymNode, Key> &get() {
    static auto *instance = new NodeTable;
    return instance->table;
  }
};

//===----------------------------------------------------------------------===//
// References
//===----------------------------------------------------------------------===//

/// True if the count fell and is not 0. The last one needs the table's lock.
static bool dropShared(std::atomic<uint32_t> &references) {
  uint32_t count = references.load(std::memory_order_relaxed);
  while (count > 1)
    if (references.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel, std::memory_order_relaxed))
      return true;
  return false;
}

void SymExprDetail::retain(const SymAtom *atom) { atom->references.fetch_add(1, std::memory_order_relaxed); }
void SymExprDetail::release(const SymAtom *atom) {
  if (!dropShared(atom->references) && AtomTable::get().drop(atom))
    delete atom;
}

void detail::retain(const SymAtom *atom) { SymExprDetail::retain(atom); }
void detail::release(const SymAtom *atom) { SymExprDetail::release(atom); }
void detail::retain(const SymNode *node) {
  if (!node->immortal)
    node->references.fetch_add(1, std::memory_order_relaxed);
}
void detail::release(const SymNode *node) {
  if (!node->immortal && !dropShared(node->references) && SymExprDetail::NodeTable::get().drop(node))
    delete node;
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

SymAtom::SymAtom(AtomKind kind, std::string_view name, const SymExpr &a, const SymExpr &b, size_t hash)
    : kind(kind), name(name), a(a), b(b), hash(hash) {
  if (kind == AtomKind::Symbol) {
    textLength = symbolText(name).size();
    low = 0;
    samples = samplesOfSymbol(name);
    return;
  }
  const SymNode &x = SymExprDetail::node(a), &y = SymExprDetail::node(b);
  depth = std::max(x.depth, y.depth) + 1;
  textLength = std::string_view(functionName(kind)).size() + textLengthOf(x.terms) + textLengthOf(y.terms) + 4;
  Interval bounds = boundsOf(kind, a, b);
  low = bounds.lo;
  high = bounds.hi;
  samples = samplesOf(kind, a, b);
}

AtomRef SymExprDetail::internAtom(AtomKind kind, std::string_view name, const SymExpr &a, const SymExpr &b) {
  AtomTable::Key key{kind, name, a.id(), b.id(),
                     llvm::hash_combine(unsigned(kind), llvm::StringRef(name), a.id(), b.id())};
  return AtomRef(AtomTable::get().findOrMake(key, [&] { return new SymAtom(kind, name, a, b, key.hash); }));
}

detail::Interned<SymNode> SymExprDetail::internTerms(std::vector<Term> terms) {
  size_t hash = terms.size();
  for (const Term &term : terms) {
    hash = llvm::hash_combine(hash, term.coefficient);
    for (const AtomRef &atom : term.monomial)
      hash = llvm::hash_combine(hash, atom.get());
  }
  NodeTable::Key key{terms, hash};
  return detail::Interned<SymNode>(NodeTable::get().findOrMake(key, [&] {
    auto *node = new SymNode(std::move(terms), hash);
    for (const Term &term : node->terms)
      for (const AtomRef &atom : term.monomial)
        node->depth = std::max(node->depth, atom->depth);
    node->bounds = boundsOf(node->terms);
    node->samples = samplesOf(node->terms);
    return node;
  }));
}

static SymNode *makeConstant(int64_t value) {
  std::vector<Term> terms;
  if (value != 0)
    terms.push_back({value, {}});
  auto *node = new SymNode(std::move(terms), 0);
  node->bounds = {value, value};
  node->samples.fill(value);
  node->immortal = true;
  return node;
}

detail::Interned<SymNode> SymExprDetail::internConstant(int64_t value) {
  // Not counted, so that threads do not write to them all the time.
  static constexpr int64_t kLeast = -16, kMost = 256;
  static auto *small = [] {
    auto *all = new std::array<SymNode *, kMost - kLeast + 1>;
    for (int64_t i = kLeast; i <= kMost; ++i)
      (*all)[i - kLeast] = makeConstant(i);
    return all;
  }();
  if (value >= kLeast && value <= kMost)
    return detail::Interned<SymNode>((*small)[value - kLeast]);
  std::vector<Term> terms;
  terms.push_back({value, {}});
  return internTerms(std::move(terms));
}

detail::Interned<SymNode> SymExprDetail::overflowNode() {
  static auto *node = [] {
    SymNode *made = makeConstant(0);
    made->overflow = true;
    made->bounds = {};
    made->samples = {};
    return made;
  }();
  return detail::Interned<SymNode>(node);
}

size_t SymExprDetail::liveObjects() { return AtomTable::get().size() + NodeTable::get().size(); }

} // namespace ds
