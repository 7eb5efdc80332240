//===- KernelStoreTest.cpp - Code of kernels, in memory and in a folder ---===//
#include "lib/Driver/KernelStore.h"
#include "dialects/rt/RtDialect.h"
#include "ds/Codegen/Passes.h"
#include "ds/InitAll.h"
#include "mlir/Parser/Parser.h"
#include "unittests/Runtime/TestFiles.h"
#include "llvm/ADT/StringExtras.h"
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <sys/stat.h>
#include <thread>
#include <vector>

using namespace ds;
using namespace ds::test;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t kLarge = 1 << 20;

std::shared_ptr<const KernelCode> codeOf(const std::string &object, const std::string &contract = "{}") {
  auto code = std::make_shared<KernelCode>();
  code->contract = contract;
  code->object = object;
  return code;
}

/// What another process would find.
std::string found(const std::string &folder, const KernelKey &key) {
  KernelStore store(folder, kLarge);
  auto code = store.find(key);
  return code ? code->contract + "|" + code->object : "";
}

std::vector<std::string> filesIn(const std::string &folder) {
  std::vector<std::string> files;
  for (const auto &entry : fs::directory_iterator(folder))
    files.push_back(entry.path().string());
  return files;
}

TEST(KernelStore, KeepsInMemoryAndInFolders) {
  TestFolder folder;
  const KernelKey key = keyOf("a"), other = keyOf("b");
  KernelStore inMemory("", kLarge);
  EXPECT_EQ(inMemory.find(key), nullptr);
  inMemory.insert(key, codeOf("object"));
  EXPECT_EQ(inMemory.find(key)->object, "object");
  EXPECT_EQ(inMemory.find(other), nullptr);

  KernelStore store(folder.file(""), kLarge);
  store.insert(key, codeOf(std::string("ob\0ject", 7), "{a = 1}"));
  EXPECT_EQ(found(folder.file(""), key), std::string("{a = 1}|ob\0ject", 15));
  EXPECT_EQ(found(folder.file(""), other), "");
  EXPECT_EQ(filesIn(folder.file("")).size(), 1u);
}

TEST(KernelStore, DamagedEntriesAreNotTakenAndReplaced) {
  TestFolder folder;
  const KernelKey key = keyOf("a");
  KernelStore(folder.file(""), kLarge).insert(key, codeOf("object", "{a}"));
  const std::string path = filesIn(folder.file("")).front(), good = readFile(path);
  ASSERT_EQ(found(folder.file(""), key), "{a}|object");
  for (size_t i = 0; i < good.size(); ++i) {
    writeFile(path, good.substr(0, i));
    EXPECT_EQ(found(folder.file(""), key), "") << "cut at " << i;
    std::string bad = good;
    bad[i] = char(bad[i] ^ 1 << i % 8);
    writeFile(path, bad);
    EXPECT_EQ(found(folder.file(""), key), "") << "changed at " << i;
  }
  writeFile(path, good + "more");
  EXPECT_EQ(found(folder.file(""), key), "");
  KernelStore(folder.file(""), kLarge).insert(key, codeOf("object", "{a}"));
  EXPECT_EQ(found(folder.file(""), key), "{a}|object");
}

TEST(KernelStore, EntriesUnderAnotherNameAreNotTaken) {
  TestFolder folder;
  const KernelKey key = keyOf("a"), other = keyOf("b");
  KernelStore(folder.file(""), kLarge).insert(key, codeOf("object"));
  const std::string path = filesIn(folder.file("")).front();
  fs::copy_file(path, folder.file(llvm::toHex(llvm::ArrayRef<uint8_t>(other), true) + ".kernel"));
  EXPECT_EQ(found(folder.file(""), other), "");
}

TEST(KernelStore, EntriesThatOthersMayWriteAreNotTaken) {
  TestFolder folder;
  const KernelKey key = keyOf("a");
  KernelStore(folder.file(""), kLarge).insert(key, codeOf("object"));
  const std::string path = filesIn(folder.file("")).front();
  chmod(path.c_str(), 0622);
  EXPECT_EQ(found(folder.file(""), key), "");
  chmod(path.c_str(), 0600);
  EXPECT_NE(found(folder.file(""), key), "");
  fs::rename(path, folder.file("elsewhere"));
  fs::create_symlink(folder.file("elsewhere"), path);
  EXPECT_EQ(found(folder.file(""), key), "");
}

TEST(KernelStore, WhatWasNotUsedForLongestGoesFirst) {
  TestFolder folder;
  const std::string object(1000, 'x');
  KernelStore store(folder.file(""), 12 * 1100);
  for (int i = 0; i < 10; ++i)
    store.insert(keyOf(std::to_string(i)), codeOf(object));
  // Ages a minute apart, the first the oldest; but that one is used again.
  for (int i = 0; i < 10; ++i)
    fs::last_write_time(folder.file(llvm::toHex(llvm::ArrayRef<uint8_t>(keyOf(std::to_string(i))), true) + ".kernel"),
                        fs::file_time_type::clock::now() - std::chrono::minutes(100 - i));
  EXPECT_NE(found(folder.file(""), keyOf("0")), "");
  writeFile(folder.file("of somebody else"), std::string(100000, 'x'));
  for (int i = 10; i < 15; ++i)
    store.insert(keyOf(std::to_string(i)), codeOf(object));
  store.trim();
  uint64_t bytes = 0;
  for (const std::string &path : filesIn(folder.file("")))
    bytes += path.ends_with(".kernel") ? fs::file_size(path) : 0;
  EXPECT_LE(bytes, 12u * 1100);
  EXPECT_TRUE(fs::exists(folder.file("of somebody else")));
  EXPECT_NE(found(folder.file(""), keyOf("0")), "");
  EXPECT_EQ(found(folder.file(""), keyOf("1")), "");
  EXPECT_NE(found(folder.file(""), keyOf("14")), "");
}

TEST(KernelStore, MemoryIsBounded) {
  KernelStore store("", 10000);
  for (int i = 0; i < 100; ++i) {
    store.insert(keyOf(std::to_string(i)), codeOf(std::string(1000, 'x')));
    EXPECT_NE(store.find(keyOf("0")), nullptr) << "used all the time, after " << i;
  }
  EXPECT_EQ(store.find(keyOf("1")), nullptr);
}

TEST(KernelStore, ThreadsAndProcessesShareAFolder) {
  TestFolder folder;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        KernelStore store(folder.file(""), 5000); // each as another process
        for (int i = 0; i < 10; ++i) {
          const std::string object(1000, char('a' + i));
          auto code = store.find(keyOf(std::to_string(i)));
          wrong += code && code->object != object;
          store.insert(keyOf(std::to_string(i)), codeOf(object));
        }
        store.trim();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  for (const std::string &path : filesIn(folder.file("")))
    EXPECT_TRUE(path.ends_with(".kernel")) << path;
}

TEST(KernelStore, FoldersAreMadeForOneUserOrRefused) {
  TestFolder folder;
  EXPECT_EQ(prepareCacheFolder(folder.file("a/b")), "");
  EXPECT_EQ(prepareCacheFolder(folder.file("a/b")), "");
  struct stat status;
  ASSERT_EQ(stat(folder.file("a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, mode_t(0700));
  writeFile(folder.file("file"), "");
  EXPECT_NE(prepareCacheFolder(folder.file("file")), "");
  EXPECT_NE(prepareCacheFolder(folder.file("file/c")), "");
}

/// A cache that counts what it is asked.
struct Recorder : KernelCache {
  std::vector<KernelKey> asked;
  std::shared_ptr<const KernelCode> find(const KernelKey &key) override {
    asked.push_back(key);
    return nullptr;
  }
  void insert(const KernelKey &, std::shared_ptr<const KernelCode>) override {}
};

TEST(ProgramKernels, KeysAreOfCircumstancesAndTextAlone) {
  Recorder recorder;
  ProgramKernels one(recorder, "level 3\n"), same(recorder, "level 3\n"), other(recorder, "level 2\n");
  one.find("ds_k0_relu", "text");
  same.find("ds_k7_relu", "text");
  other.find("ds_k0_relu", "text");
  one.find("ds_k0_relu", "text ");
  EXPECT_EQ(recorder.asked[0], recorder.asked[1]);
  EXPECT_NE(recorder.asked[0], recorder.asked[2]);
  EXPECT_NE(recorder.asked[0], recorder.asked[3]);
}

struct Memory : KernelCache {
  std::map<KernelKey, std::shared_ptr<const KernelCode>> kept;
  std::shared_ptr<const KernelCode> find(const KernelKey &key) override {
    auto entry = kept.find(key);
    return entry == kept.end() ? nullptr : entry->second;
  }
  void insert(const KernelKey &key, std::shared_ptr<const KernelCode> code) override { kept[key] = std::move(code); }
};

/// Generates a kernel of one symbol. Returns whether its code was taken from the cache.
bool isTaken(KernelCache &cache) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadDialect<rt::RtDialect>();
  std::string said;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) { said += diagnostic.str(); });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      R"mlir(rt.kernel @k3(%x: tensor<?xf32> {ds.shape = #ds.shape<["k0"]>}) -> tensor<?xf32> attributes {symbols = ["k0"]} {
        %0 = ds.neg %x : (tensor<?xf32>) -> tensor<?xf32>
        rt.yield %0 : tensor<?xf32>
      })mlir",
      &context);
  std::string error;
  auto target = Target::resolve("x86_64-linux-gnu", "x86-64-v3", error);
  ProgramKernels kernels(cache, "");
  mlir::PassManager passes(&context);
  if (module)
    passes.addPass(createGenerateKernelsPass(*target, &kernels));
  EXPECT_TRUE(module && mlir::succeeded(passes.run(*module)));
  EXPECT_EQ(said, "");
  rt::CodeOp code = module ? *module->getOps<rt::CodeOp>().begin() : rt::CodeOp();
  if (!code)
    return false;
  EXPECT_EQ(code.getSymName(), "k3");
  EXPECT_EQ(code.getModule() == nullptr, kernels.foundCount() == 1);
  if (code.getModule())
    kernels.insert("k3", "object");
  return !code.getModule();
}

TEST(ProgramKernels, AContractThatDoesNotHoldCountsAsAMiss) {
  Memory memory;
  EXPECT_FALSE(isTaken(memory));
  EXPECT_TRUE(isTaken(memory));
  ASSERT_EQ(memory.kept.size(), 1u);
  std::shared_ptr<const KernelCode> &kept = memory.kept.begin()->second;
  const std::string sound = kept->contract;
  auto with = [&](const std::string &old, const std::string &other) {
    std::string text = sound;
    size_t at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old << " in " << sound;
    return at == std::string::npos ? "" : text.replace(at, old.size(), other);
  };
  for (const std::string &damaged :
       {std::string(), std::string("{}"), sound.substr(0, sound.size() / 2), sound + sound,
        with("symbols = [\"k0\"]", "symbols = [\"k1\"]"), with("symbols = [\"k0\"]", "symbols = [\"k0\", \"k1\"]"),
        with("scratch = #ds.shape<[\"0\"]>", "scratch = #ds.shape<[]>"),
        with("scratch = #ds.shape<[\"0\"]>", "scratch = #ds.shape<[\"k7\"]>"),
        with("scratch = #ds.shape<[\"0\"]>", "scratch = 0 : i64"), with("(tensor<?xf32>)", "(tensor<?xf64>)"),
        with("({", "({\n\"builtin.module\"() ({\n}) : () -> ()\n")}) {
    kept = codeOf("object", damaged);
    EXPECT_FALSE(isTaken(memory)) << damaged;
    EXPECT_EQ(kept->contract, sound); // generated and kept anew
  }
}

} // namespace
