//===- MathFunctions64Test.cpp - Errors of the functions of f64 -----------===//
// Guarantees: the bounds that MathFunctions.h states, against libm in extended precision, over ranges of both signs
// down to the smallest numbers; special values; the scalar form equals the vector form.
//===----------------------------------------------------------------------===//
#include "Jit.h"
#include "dialects/ds/element/MathFunctions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>
#include <random>
#include <vector>

using namespace mlir;

namespace ds {
namespace {

using Builder = Value (*)(OpBuilder &, Location, Value);
using Compiled = void(const double *, double *, int64_t);
constexpr int64_t kLanes = 8;

/// void name(double *in, double *out, int64_t n), a vector or a scalar at a time.
void buildLoop(OpBuilder &b, ModuleOp module, StringRef name, Builder function, int64_t lanes) {
  Location loc = b.getUnknownLoc();
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto func = func::FuncOp::create(b, loc, name, b.getFunctionType({pointer, pointer, b.getI64Type()}, {}));
  Block *block = func.addEntryBlock();
  b.setInsertionPointToStart(block);
  auto constant = [&](int64_t value) { return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value)); };
  auto loop = scf::ForOp::create(b, loc, constant(0), block->getArgument(2), constant(lanes));
  func::ReturnOp::create(b, loc);
  b.setInsertionPointToStart(loop.getBody());
  Type type = lanes > 1 ? Type(VectorType::get({lanes}, b.getF64Type())) : b.getF64Type();
  auto address = [&](unsigned argument) {
    return LLVM::GEPOp::create(b, loc, pointer, b.getF64Type(), block->getArgument(argument),
                               ArrayRef<LLVM::GEPArg>{loop.getInductionVar()});
  };
  Value x = LLVM::LoadOp::create(b, loc, type, address(0), /*alignment=*/8);
  LLVM::StoreOp::create(b, loc, function(b, loc, x), address(1), /*alignment=*/8);
}

class MathFunctions64 : public ::testing::Test {
protected:
  void SetUp() override {
    test::loadDialects(context);
    OpBuilder b(&context);
    module = ModuleOp::create(b.getUnknownLoc());
    for (auto [name, function] :
         {std::pair<const char *, Builder>{"exp", buildExp64}, std::pair<const char *, Builder>{"tanh", buildTanh64}}) {
      buildLoop(b, *module, name, function, kLanes);
      buildLoop(b, *module, std::string(name) + "_scalar", function, 1);
    }
    jit = test::Jit::create(*module);
    ASSERT_TRUE(jit);
  }

  std::vector<double> run(const std::string &name, std::vector<double> x) {
    const size_t count = x.size();
    x.resize((count + kLanes - 1) / kLanes * kLanes);
    std::vector<double> vectors(x.size()), scalars(x.size());
    jit->lookup<Compiled>(name)(x.data(), vectors.data(), int64_t(x.size()));
    jit->lookup<Compiled>(name + "_scalar")(x.data(), scalars.data(), int64_t(x.size()));
    for (size_t i = 0; i < count; ++i)
      EXPECT_TRUE(vectors[i] == scalars[i] || (std::isnan(vectors[i]) && std::isnan(scalars[i])))
          << name << " " << x[i];
    vectors.resize(count);
    return vectors;
  }
  double at(const std::string &name, double x) { return run(name, {x})[0]; }

  /// Errors in units of the last place of the result, or of the smallest normal number.
  void expectUlp(const std::string &name, long double (*exact)(long double), double limit, double low, double high) {
    std::mt19937_64 random(7);
    std::vector<double> x;
    for (int i = 0; i < 200000; ++i)
      x.push_back(std::uniform_real_distribution<double>(low, high)(random));
    // Of all magnitudes.
    for (double size = high; size > 1e-300; size *= 0.83)
      for (double value : {size, -size})
        if (value >= low)
          x.push_back(value);
    std::vector<double> y = run(name, x);
    long double worst = 0;
    double where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      long double reference = exact(x[i]);
      int exponent = 0;
      std::frexp(static_cast<double>(reference), &exponent);
      long double unit = std::ldexp(1.0L, std::max(exponent, -1021) - 53);
      long double error = std::fabs(y[i] - reference) / unit;
      if (error > worst) {
        worst = error;
        where = x[i];
      }
    }
    EXPECT_LE(static_cast<double>(worst), limit) << name << " at " << where;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<test::Jit> jit;
  static constexpr double kInf = std::numeric_limits<double>::infinity();
};

TEST_F(MathFunctions64, Exp) {
  auto exact = [](long double x) { return std::exp(x); };
  expectUlp("exp", exact, 1.0, -745.0, 709.7);
  expectUlp("exp", exact, 1.0, -1.0, 1.0);
  EXPECT_EQ(at("exp", -kInf), 0.0);
  EXPECT_EQ(at("exp", -1e300), 0.0);
  EXPECT_EQ(at("exp", 1e300), kInf);
  EXPECT_EQ(at("exp", kInf), kInf);
  EXPECT_EQ(at("exp", 0.0), 1.0);
  EXPECT_TRUE(std::isnan(at("exp", std::nan(""))));
}

TEST_F(MathFunctions64, Tanh) {
  auto exact = [](long double x) { return std::tanh(x); };
  expectUlp("tanh", exact, 2.5, -30.0, 30.0);
  expectUlp("tanh", exact, 2.5, -1.0, 1.0);
  EXPECT_EQ(at("tanh", kInf), 1.0);
  EXPECT_EQ(at("tanh", -kInf), -1.0);
  EXPECT_TRUE(std::signbit(at("tanh", -0.0)));
  EXPECT_TRUE(std::isnan(at("tanh", std::nan(""))));
}

} // namespace
} // namespace ds
