//===- KernelCache.cpp - Code that was generated before -------------------===//
// Guarantees: see KernelCache.h.
//===----------------------------------------------------------------------===//
#include "ds/Codegen/KernelCache.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/BLAKE3.h"

namespace ds {

KernelKey keyOf(llvm::StringRef text) {
  llvm::BLAKE3 hash;
  hash.update(text);
  return hash.final<sizeof(KernelKey)>();
}

std::shared_ptr<const KernelCode> ProgramKernels::find(llvm::StringRef name, llvm::StringRef text) {
  Part part{keyOf(circumstances + text.str()), nullptr, ""};
  part.code = cache.find(part.key);
  std::lock_guard<std::mutex> lock(mutex);
  return (parts[name] = std::move(part)).code;
}

std::shared_ptr<const KernelCode> ProgramKernels::found(llvm::StringRef name) const {
  std::lock_guard<std::mutex> lock(mutex);
  auto part = parts.find(name);
  return part == parts.end() ? nullptr : part->second.code;
}

void ProgramKernels::describe(llvm::StringRef name, std::string contract) {
  std::lock_guard<std::mutex> lock(mutex);
  parts[name].contract = std::move(contract);
}

void ProgramKernels::insert(llvm::StringRef name, llvm::StringRef object) {
  auto code = std::make_shared<KernelCode>();
  code->object = object.str();
  KernelKey key;
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto part = parts.find(name);
    if (part == parts.end())
      return; // a part that nobody asked for
    key = part->second.key;
    code->contract = part->second.contract;
  }
  cache.insert(key, std::move(code));
}

void ProgramKernels::reject(llvm::StringRef name) {
  std::lock_guard<std::mutex> lock(mutex);
  parts[name].code = nullptr;
}

size_t ProgramKernels::foundCount() const {
  std::lock_guard<std::mutex> lock(mutex);
  return size_t(llvm::count_if(parts, [](const auto &part) { return part.second.code != nullptr; }));
}

size_t ProgramKernels::count() const {
  std::lock_guard<std::mutex> lock(mutex);
  return parts.size();
}

} // namespace ds
