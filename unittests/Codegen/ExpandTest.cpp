//===- ExpandTest.cpp - Composite ops equal their definitions -------------===//
// Goes over the registered ops, so that a new composite op cannot be forgotten: for each there are cases, and in each
// the kernel that a program gets, the op's element form where it has one, and its definition in other ops agree.
//===----------------------------------------------------------------------===//
#include "KernelRunner.h"
#include "dialects/ds/ir/DsOps.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir;

namespace ds::test {
namespace {

using Form = CompiledKernel::Form;

struct Argument {
  const char *type; // an element type
  const char *dims; // "N, 4"
};

struct Case {
  const char *op, *attributes;
  std::vector<Argument> arguments;
  const char *resultDims;
  std::vector<CompiledKernel::Symbols> sizes;
};

const std::vector<CompiledKernel::Symbols> kRows = {
    {{"N", 2}, {"S", 37}}, {{"N", 3}, {"S", 1}}, {{"N", 1}, {"S", 16}}, {{"N", 0}, {"S", 5}}, {{"N", 2}, {"S", 0}}};
const std::vector<CompiledKernel::Symbols> kImages = {
    {{"N", 2}, {"C", 5}, {"H", 3}}, {{"N", 1}, {"C", 19}, {"H", 4}}, {{"N", 1}, {"C", 1}, {"H", 1}}};
const std::vector<CompiledKernel::Symbols> kSequences = {{{"B", 2}, {"T", 3}, {"S", 5}, {"D", 4}},
                                                         {{"B", 1}, {"T", 1}, {"S", 9}, {"D", 3}},
                                                         {{"B", 1}, {"T", 6}, {"S", 6}, {"D", 17}},
                                                         {{"B", 2}, {"T", 4}, {"S", 2}, {"D", 1}}};

const std::vector<Case> kCases = {
    {"softmax", "axis = 1 : i64", {{"f32", "N, S"}}, "N, S", kRows},
    {"softmax", "axis = 0 : i64", {{"f32", "N, S"}}, "N, S", kRows},
    {"softmax", "axis = 1 : i64", {{"f64", "N, S"}}, "N, S", kRows},
    {"log_softmax", "axis = 1 : i64", {{"f32", "N, S"}}, "N, S", kRows},
    {"log_softmax", "axis = 0 : i64", {{"f32", "N, S"}}, "N, S", kRows},
    {"layer_norm",
     "axis = 1 : i64, epsilon = 1.0e-5 : f64",
     {{"f32", "N, S"}, {"f32", "S"}, {"f32", "S"}},
     "N, S",
     kRows},
    {"layer_norm", "axis = 1 : i64, epsilon = 1.0e-2 : f64", {{"f32", "N, S"}, {"f32", "S"}}, "N, S", kRows},
    {"layer_norm", "axis = 0 : i64, epsilon = 1.0e-5 : f64", {{"f32", "N, S"}, {"f32", "N, S"}}, "N, S", kRows},
    {"layer_norm", "axis = 1 : i64, epsilon = 1.0e-5 : f64", {{"f64", "N, S"}, {"f64", "S"}}, "N, S", kRows},
    {"batch_norm",
     "epsilon = 1.0e-3 : f64",
     {{"f32", "N, C, H"}, {"f32", "C"}, {"f32", "C"}, {"f32", "C"}, {"f32", "C"}},
     "N, C, H",
     kImages},
    {"batch_norm",
     "epsilon = 1.0e-3 : f64, layout = #ds.layout<nhwc>",
     {{"f32", "N, H, C"}, {"f32", "C"}, {"f32", "C"}, {"f32", "C"}, {"f32", "C"}},
     "N, H, C",
     kImages},
    {"attention",
     "scale = 0.5 : f64",
     {{"f32", "B, T, D"}, {"f32", "B, S, D"}, {"f32", "B, S, 7"}},
     "B, T, 7",
     kSequences},
    {"attention",
     "scale = 0.5 : f64, causal",
     {{"f32", "B, T, D"}, {"f32", "B, S, D"}, {"f32", "B, S, 7"}},
     "B, T, 7",
     kSequences},
    {"attention",
     "scale = 0.5 : f64, causal, zero_masked_rows",
     {{"f32", "B, T, D"}, {"f32", "B, S, D"}, {"f32", "B, S, 7"}},
     "B, T, 7",
     kSequences},
    {"attention",
     "scale = 1.0 : f64",
     {{"f32", "B, T, D"}, {"f32", "B, S, D"}, {"f32", "B, S, 3"}, {"f32", "T, S"}},
     "B, T, 3",
     kSequences},
    {"attention",
     "scale = 1.0 : f64",
     {{"f32", "B, T, D"}, {"f32", "B, S, D"}, {"f32", "B, S, 3"}, {"i1", "B, T, S"}},
     "B, T, 3",
     kSequences},
    {"attention",
     "scale = 1.0 : f64, zero_masked_rows",
     {{"f32", "B, T, D"}, {"f32", "B, S, D"}, {"f32", "B, S, 3"}, {"i1", "B, 1, S"}},
     "B, T, 3",
     kSequences},
};

std::vector<std::string> split(StringRef dims) {
  SmallVector<StringRef> parts;
  dims.split(parts, ", ");
  return {parts.begin(), parts.end()};
}

std::string tensorType(StringRef element, StringRef dims) {
  std::string text = "tensor<";
  for (const std::string &dim : split(dims))
    text += (isdigit(dim[0]) ? dim : "?") + "x";
  return text + element.str() + ">";
}

std::string kernelText(const Case &c) {
  std::string arguments, operands, types, result = tensorType(c.arguments[0].type, c.resultDims);
  for (auto [i, argument] : llvm::enumerate(c.arguments)) {
    std::string name = "%a" + std::to_string(i), type = tensorType(argument.type, argument.dims), shape;
    for (const std::string &dim : split(argument.dims))
      shape += (shape.empty() ? "\"" : ", \"") + dim + "\"";
    std::string comma = i ? ", " : "";
    arguments += comma + name + ": " + type + " {ds.shape = #ds.shape<[" + shape + "]>}";
    operands += comma + name;
    types += comma + type;
  }
  return "rt.kernel @k(" + arguments + ") -> " + result + " {\n  %r = ds." + c.op + " " + operands + " {" +
         c.attributes + "} : (" + types + ") -> " + result + "\n  rt.yield %r : " + result + "\n}";
}

int64_t count(StringRef dims, const CompiledKernel::Symbols &symbols) {
  int64_t product = 1;
  for (const std::string &dim : split(dims))
    product *= isdigit(dim[0]) ? std::stoll(dim) : symbols.at(dim);
  return product;
}

size_t bytesOf(StringRef type) { return type == "f64" ? 8 : type == "f32" ? 4 : 1; }

double numberAt(const Buffer<char> &buffer, StringRef type, size_t i) {
  return type == "f64" ? reinterpret_cast<double *>(buffer.data())[i] : reinterpret_cast<float *>(buffer.data())[i];
}

/// Normal numbers; mostly true; variances are positive.
Buffer<char> draw(const Case &c, size_t number, size_t elements) {
  StringRef type = c.arguments[number].type;
  Buffer<char> buffer(elements * bytesOf(type));
  std::mt19937 generator(unsigned(number) + 1);
  std::normal_distribution<double> normal;
  bool isVariance = StringRef(c.op) == "batch_norm" && number == 4;
  for (size_t i = 0; i < elements; ++i) {
    double value = isVariance ? std::abs(normal(generator)) + 0.1 : normal(generator);
    if (type == "f64")
      reinterpret_cast<double *>(buffer.data())[i] = value;
    else if (type == "f32")
      reinterpret_cast<float *>(buffer.data())[i] = float(value);
    else
      buffer[i] = value < 0.7;
  }
  return buffer;
}

void check(const Case &c) {
  std::string text = kernelText(c);
  SCOPED_TRACE(text);
  auto program = CompiledKernel::compile(text), expanded = CompiledKernel::compile(text, Form::Expanded);
  ASSERT_TRUE(program && expanded);
  MLIRContext context;
  context.loadDialect<DsDialect>();
  auto name = RegisteredOperationName::lookup(std::string("ds.") + c.op, &context);
  std::unique_ptr<CompiledKernel> elements;
  if (name->hasInterface<ElementOpInterface>())
    ASSERT_TRUE(elements = CompiledKernel::compile(text, Form::Elements));

  StringRef type = c.arguments[0].type;
  double tolerance = type == "f64" ? 1e-11 : 1e-5;
  for (const CompiledKernel::Symbols &symbols : c.sizes) {
    std::vector<Buffer<char>> inputs;
    for (auto [i, argument] : llvm::enumerate(c.arguments))
      inputs.push_back(draw(c, i, count(argument.dims, symbols)));
    size_t size = count(c.resultDims, symbols);
    auto run = [&](const CompiledKernel &kernel) {
      Buffer<char> result(size * bytesOf(type));
      std::vector<void *> arguments;
      for (const Buffer<char> &input : inputs)
        arguments.push_back(input.data());
      arguments.push_back(result.data());
      EXPECT_EQ(kernel.run(symbols, arguments, 2), 0);
      return result;
    };
    Buffer<char> definition = run(*expanded);
    for (const CompiledKernel *kernel : {program.get(), elements.get()}) {
      if (!kernel)
        continue;
      Buffer<char> result = run(*kernel);
      for (size_t i = 0; i < size; ++i) {
        double expected = numberAt(definition, type, i), got = numberAt(result, type, i);
        if (std::isnan(expected))
          ASSERT_TRUE(std::isnan(got)) << (kernel == program.get() ? "kernel" : "element form") << " at " << i;
        else
          ASSERT_NEAR(got, expected, tolerance * std::max(1.0, std::abs(expected)))
              << (kernel == program.get() ? "kernel" : "element form") << " at " << i;
      }
    }
  }
}

TEST(Expand, EveryCompositeOpEqualsItsDefinition) {
  MLIRContext context;
  context.loadDialect<DsDialect>();
  unsigned composites = 0;
  for (RegisteredOperationName op : context.getRegisteredOperationsByDialect("ds")) {
    if (!op.hasInterface<CompositeOpInterface>())
      continue;
    ++composites;
    bool found = false;
    for (const Case &c : kCases)
      if (op.getStringRef() == std::string("ds.") + c.op) {
        found = true;
        check(c);
      }
    EXPECT_TRUE(found) << op.getStringRef().str() << " has no case here";
  }
  EXPECT_GE(composites, 5u);
}

} // namespace
} // namespace ds::test
