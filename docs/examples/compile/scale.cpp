//===- scale.cpp - Compiles a model in memory, and runs it ----------------===//
// Assumes: ds::compiler and ds::runtime.
// Guarantees: prints each number of the command line times the factor; the factor is a constant of the program that is
// compiled for it.
// Declines: keeping the program: `session.compile(options)` writes a file instead.
//
//     scale 2.5 1 2 3
//===----------------------------------------------------------------------===//
#include <cstdio>
#include <ds/Compiler.h>
#include <ds/InitAll.h>
#include <ds_runtime.hpp>
#include <mlir/IR/BuiltinOps.h>
#include <mlir/IR/MLIRContext.h>
#include <mlir/Parser/Parser.h>
#include <string>
#include <vector>

static std::string modelFor(const std::string &factor) {
  return "func.func @main(%x: tensor<?xf32> {ds.name = \"x\", ds.shape = #ds.shape<[\"N\"]>})"
         "    -> (tensor<?xf32> {ds.name = \"y\"}) {"
         "  %factor = ds.constant dense<" +
         factor +
         "> : tensor<f32>"
         "  %y = ds.mul %x, %factor : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>"
         "  return %y : tensor<?xf32>"
         "}";
}

int main(int argc, char **argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: scale <factor> <number>...\n");
    return 2;
  }
  // One session compiles any number of models, from any number of threads.
  ds::CompilerSession session;
  mlir::DialectRegistry registry;
  ds::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  char factor[32];
  std::snprintf(factor, sizeof factor, "%e", std::stod(argv[1]));
  auto module = mlir::parseSourceString<mlir::ModuleOp>(modelFor(factor), &context);
  if (!module)
    return 1;

  ds::CompileOptions options;
  options.input = "scale";
  options.emit = ds::EmitKind::Library;
  options.diagnostic = [](ds::Severity, llvm::StringRef message) {
    std::fprintf(stderr, "scale: %s\n", message.str().c_str());
  };
  std::string artifact;
  if (session.compile(*module, options, [&](llvm::StringRef bytes) { artifact += bytes; }) !=
      ds::CompileStatus::Success)
    return 1;

  ds::Model model(artifact.data(), artifact.size());
  ds::Session run(model);
  std::vector<float> x;
  for (int i = 2; i < argc; ++i)
    x.push_back(std::stof(argv[i]));
  std::vector<ds::Tensor> outputs = run.run({ds::Tensor(x.data(), {int64_t(x.size())})});
  for (size_t i = 0; i < x.size(); ++i)
    std::printf("%g\n", double(outputs[0].data<float>()[i]));
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "scale: error: %s\n", error.what());
  return 1;
}
