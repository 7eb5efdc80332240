//===- SessionTest.cpp - Compiling again and again ------------------------===//
#include "dialects/ds/ir/DsDialect.h"
#include "ds/Compiler.h"
#include "ds/InitAll.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "unittests/Runtime/TestFiles.h"
#include "llvm/Support/CommandLine.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <thread>

using namespace ds;
using namespace ds::test;

namespace {

/// Two kernels: `first` with a softmax, and a mean.
std::string model(const std::string &first = "ds.relu", int width = 8) {
  const std::string size = std::to_string(width), type = "tensor<?x" + size + "xf32>";
  return "func.func @main(%arg0: " + type + " {ds.name = \"x\", ds.shape = #ds.shape<[\"N\", \"" + size +
         "\"]>}) -> (tensor<?x1xf32> {ds.name = \"y\"}) {\n  %0 = " + first + " %arg0 : (" + type + ") -> " + type +
         "\n  %1 = ds.softmax %0 {axis = 1 : i64} : (" + type + ") -> " + type + "\n  %2 = ds.tanh %1 : (" + type +
         ") -> " + type + "\n  %3 = ds.reduce_mean %2 {axes = array<i64: 1>, keepdims} : (" + type +
         ") -> tensor<?x1xf32>\n  return %3 : tensor<?x1xf32>\n}\n";
}

struct Compiled {
  std::string bytes;
  size_t cached = 0, all = 0;
};

class Session : public testing::Test {
protected:
  Compiled compile(CompilerSession &session, const std::string &text, CompileOptions options = {}) {
    static std::atomic<int> number;
    options.input = folder.file("m" + std::to_string(number++) + ".mlir");
    options.output = folder.file("out") + std::to_string(number++);
    writeFile(options.input, text);
    return run(options, [&] { return session.compile(options); }, [&] { return readFile(options.output); });
  }
  template <typename Work, typename Read> Compiled run(CompileOptions &options, Work work, Read read) {
    Compiled result;
    std::string said;
    options.cacheUse = [&](size_t cached, size_t all) {
      result.cached += cached;
      result.all += all;
    };
    options.diagnostic = [&](Severity, llvm::StringRef message) { said += message.str() + "\n"; };
    if (options.targetCpu.empty())
      options.targetCpu = "x86-64-v3", options.target = "x86_64-linux-gnu";
    EXPECT_EQ(work(), CompileStatus::Success) << said;
    result.bytes = read();
    return result;
  }
  SessionOptions inFolder() {
    SessionOptions options;
    options.cacheFolder = folder.file("cache");
    return options;
  }
  TestFolder folder;
};

TEST_F(Session, AnUnchangedModelIsTheSameBytesFromTheCache) {
  CompilerSession without, with(inFolder()), later(inFolder());
  const Compiled plain = compile(without, model());
  const Compiled cold = compile(with, model());
  const Compiled warm = compile(with, model());
  const Compiled fromFolder = compile(later, model());
  EXPECT_EQ(plain.cached, 0u);
  EXPECT_EQ(cold.cached, 0u);
  EXPECT_EQ(cold.all, 3u); // two kernels and the host program
  EXPECT_EQ(warm.cached, 3u);
  EXPECT_EQ(fromFolder.cached, 3u);
  EXPECT_TRUE(plain.bytes == cold.bytes && cold.bytes == warm.bytes && warm.bytes == fromFolder.bytes);
  EXPECT_EQ(compile(without, model()).cached, 3u); // memory alone
}

TEST_F(Session, AChangedLayerIsCompiledAlone) {
  CompilerSession session(inFolder()), fresh;
  compile(session, model());
  const Compiled changed = compile(session, model("ds.neg"));
  EXPECT_EQ(changed.all, 3u);
  EXPECT_EQ(changed.cached, 2u);
  EXPECT_TRUE(changed.bytes == compile(fresh, model("ds.neg")).bytes);
}

TEST_F(Session, WhateverCodeDependsOnIsInTheKey) {
  CompilerSession session(inFolder()), again;
  compile(session, model());
  std::vector<CompileOptions> others(4);
  others[0].optLevel = 2;
  others[1].precise = true;
  others[2].target = "x86_64-linux-gnu", others[2].targetCpu = "skylake"; // as wide as x86-64-v3
  others[3].target = "aarch64-linux-gnu", others[3].targetCpu = "cortex-a76", others[3].emit = EmitKind::Object;
  for (size_t i = 0; i < others.size(); ++i) {
    const Compiled other = compile(session, model(), others[i]);
    EXPECT_EQ(other.cached, 0u) << i;
    EXPECT_EQ(compile(session, model(), others[i]).cached, other.all) << i;
  }
  EXPECT_EQ(compile(session, model("ds.relu", 16)).cached, 0u);
  EXPECT_EQ(compile(session, model()).cached, 3u);
}

TEST_F(Session, ProcessesWithOptionsOfLLVMTakeAndLeaveNoCode) {
  CompilerSession session(inFolder());
  compile(session, model());
  const char *const arguments[] = {"test", "-enable-misched=true"};
  ASSERT_TRUE(llvm::cl::ParseCommandLineOptions(2, arguments));
  const Compiled set = compile(session, model()), changed = compile(session, model("ds.neg"));
  llvm::cl::ResetAllOptionOccurrences();
  EXPECT_EQ(set.cached, 0u);
  EXPECT_EQ(changed.cached, 0u);
  EXPECT_EQ(compile(session, model()).cached, 3u);
  EXPECT_EQ(compile(session, model("ds.neg")).cached, 2u) << "what was made meanwhile is not kept";
}

TEST_F(Session, VariantsForSeveralCpusTakeTheirOwnCode) {
  CompilerSession session(inFolder()), fresh;
  compile(session, model());
  CompileOptions two;
  two.target = "x86_64-linux-gnu";
  two.targetCpu = "x86-64-v4,x86-64-v3";
  const Compiled both = compile(session, model(), two);
  EXPECT_EQ(both.all, 6u);
  EXPECT_EQ(both.cached, 3u); // v3's; as the last variant it has the same host program
  const Compiled warm = compile(session, model(), two);
  EXPECT_EQ(warm.cached, 6u);
  EXPECT_TRUE(both.bytes == warm.bytes && both.bytes == compile(fresh, model(), two).bytes);
}

TEST_F(Session, ModulesInMemoryGiveTheBytesOfFiles) {
  CompilerSession session;
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadDialect<DsDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(model(), &context);
  ASSERT_TRUE(module);
  std::string before, after, bytes;
  llvm::raw_string_ostream(before) << *module;
  for (const char *cpus : {"x86-64-v3", "x86-64-v4,x86-64-v3"}) {
    CompileOptions options, file;
    options.input = "my model";
    options.target = file.target = "x86_64-linux-gnu";
    options.targetCpu = file.targetCpu = cpus;
    bytes.clear();
    run(
        options, [&] { return session.compile(*module, options, [&](llvm::StringRef b) { bytes += b; }); },
        [] { return ""; });
    EXPECT_TRUE(bytes == compile(session, model(), file).bytes);
  }
  llvm::raw_string_ostream(after) << *module;
  EXPECT_EQ(before, after);
}

TEST_F(Session, ErrorsInMemoryNameTheModel) {
  CompilerSession session;
  mlir::MLIRContext context;
  context.loadDialect<mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>("func.func @main() { return }", &context);
  ASSERT_TRUE(module);
  CompileOptions options;
  options.input = "my model";
  options.stopAfter = "llvm";
  std::string said;
  options.diagnostic = [&](Severity, llvm::StringRef message) { said += message; };
  EXPECT_EQ(session.compile(*module, options, [](llvm::StringRef) {}), CompileStatus::BadUsage);
  EXPECT_NE(said, "");
}

TEST_F(Session, ThreadsShareASession) {
  CompilerSession session(inFolder()), fresh;
  const std::vector<std::string> ops = {"ds.relu", "ds.neg", "ds.tanh", "ds.exp"};
  std::vector<Compiled> results(8);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] { results[t] = compile(session, model(ops[t % ops.size()])); });
  for (std::thread &thread : threads)
    thread.join();
  for (size_t t = 0; t < results.size(); ++t)
    EXPECT_TRUE(results[t].bytes == compile(fresh, model(ops[t % ops.size()])).bytes) << t;
}

TEST_F(Session, DamagedEntriesAreCompiledAnew) {
  CompilerSession first(inFolder());
  const Compiled good = compile(first, model());
  for (const auto &entry : std::filesystem::directory_iterator(folder.file("cache")))
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) / 2);
  CompilerSession second(inFolder()), third(inFolder());
  const Compiled mended = compile(second, model());
  EXPECT_EQ(mended.cached, 0u);
  EXPECT_TRUE(mended.bytes == good.bytes);
  EXPECT_EQ(compile(third, model()).cached, 3u);
}

TEST_F(Session, AFolderThatCannotBeUsedIsAWarningOrNothing) {
  writeFile(folder.file("cache"), "");
  for (bool warns : {true, false}) {
    SessionOptions options = inFolder();
    options.warnsOfCache = warns;
    CompilerSession session(options);
    CompileOptions compilation;
    compilation.input = folder.file("m.mlir");
    compilation.output = folder.file("m");
    writeFile(compilation.input, model());
    std::string said;
    compilation.diagnostic = [&](Severity severity, llvm::StringRef message) {
      said += (severity == Severity::Warning ? "warning: " : "") + message.str();
    };
    EXPECT_EQ(session.compile(compilation), CompileStatus::Success);
    EXPECT_EQ(said.find("warning: the cache folder '"), warns ? 0 : std::string::npos) << said;
  }
}

} // namespace
