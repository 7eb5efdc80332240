//===- MathFunctionsTest.cpp - Errors of the elementary functions ---------===//
// Guarantees: the bounds that MathFunctions.h states, against libm in double precision, over every 61st f32 of both
// signs and over dense ranges; special values; the scalar form equals the vector form.
//===----------------------------------------------------------------------===//
#include "dialects/ds/element/MathFunctions.h"
#include "Jit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>
#include <vector>

using namespace mlir;

namespace ds {
namespace {

using Builder = Value (*)(OpBuilder &, Location, Value);
constexpr int64_t kLanes = 8;

struct Function {
  const char *name;
  Builder build;
};
constexpr Function kFunctions[] = {
    {"exp", buildExp},
    {"exp2", buildExp2},
    {"exp_np", buildExpNonPositive},
    {"exp2_np", buildExp2NonPositive},
    {"log", buildLog},
    {"tanh", buildTanh},
    {"sigmoid", buildSigmoid},
    {"erf", buildErf},
    {"gelu", buildGelu},
    {"gelu_tanh", buildGeluTanh},
    {"sin", buildSin},
    {"cos", buildCos},
};

/// void name(float *in, float *out, int64_t n): a vector at a time, n a multiple of kLanes; name_scalar: one at a time.
void buildLoop(OpBuilder &b, ModuleOp module, const std::string &name, Builder function, bool vector) {
  Location loc = b.getUnknownLoc();
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto func = func::FuncOp::create(b, loc, name, b.getFunctionType({pointer, pointer, b.getI64Type()}, {}));
  Block *block = func.addEntryBlock();
  b.setInsertionPointToStart(block);
  auto constant = [&](int64_t value) { return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value)); };
  auto loop = scf::ForOp::create(b, loc, constant(0), block->getArgument(2), constant(vector ? kLanes : 1));
  func::ReturnOp::create(b, loc);
  b.setInsertionPointToStart(loop.getBody());
  Type type = vector ? Type(VectorType::get({kLanes}, b.getF32Type())) : b.getF32Type();
  auto address = [&](unsigned argument) {
    return LLVM::GEPOp::create(b, loc, pointer, b.getF32Type(), block->getArgument(argument),
                               ArrayRef<LLVM::GEPArg>{loop.getInductionVar()});
  };
  Value x = LLVM::LoadOp::create(b, loc, type, address(0), /*alignment=*/4);
  LLVM::StoreOp::create(b, loc, function(b, loc, x), address(1), /*alignment=*/4);
}

class MathFunctions : public ::testing::Test {
protected:
  using Compiled = void(const float *, float *, int64_t);

  static void SetUpTestSuite() {
    context = new MLIRContext;
    test::loadDialects(*context);
    OpBuilder b(context);
    OwningOpRef<ModuleOp> module = ModuleOp::create(b.getUnknownLoc());
    for (const Function &function : kFunctions) {
      buildLoop(b, *module, function.name, function.build, true);
      buildLoop(b, *module, std::string(function.name) + "_scalar", function.build, false);
    }
    jit = test::Jit::create(*module).release();
    ASSERT_TRUE(jit);
  }
  static void TearDownTestSuite() {
    delete jit;
    delete context;
  }

  static std::vector<float> run(const std::string &name, std::vector<float> x) {
    size_t count = x.size();
    x.resize((count + kLanes - 1) / kLanes * kLanes);
    std::vector<float> y(x.size()), scalar(x.size());
    jit->lookup<Compiled>(name)(x.data(), y.data(), x.size());
    jit->lookup<Compiled>(name + "_scalar")(x.data(), scalar.data(), x.size());
    size_t different = 0;
    for (size_t i = 0; i < count; ++i)
      different += llvm::bit_cast<uint32_t>(y[i]) != llvm::bit_cast<uint32_t>(scalar[i]) && !std::isnan(y[i]);
    EXPECT_EQ(different, 0u) << name << " differs between scalars and vectors";
    y.resize(count);
    return y;
  }

  /// Every 61st f32 within [low, high], then a million evenly spaced.
  static std::vector<float> sweep(float low, float high) {
    std::vector<float> x;
    for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 61) {
      float value = llvm::bit_cast<float>(static_cast<uint32_t>(bits));
      if (value >= low && value <= high)
        x.push_back(value);
    }
    double from = std::max(low, -1e6f), to = std::min(high, 1e6f);
    for (int i = 0; i <= 1000000; ++i)
      x.push_back(std::min(std::max(static_cast<float>(from + (to - from) * i / 1e6), low), high));
    return x;
  }

  /// The largest error in ulp where the exact result is normal; where it is subnormal or 0, `below` is the error
  /// allowed in units of the least subnormal.
  template <typename Reference>
  static void expectUlp(const char *name, Reference reference, double bound, float low, float high,
                        double below = 1.0) {
    std::vector<float> x = sweep(low, high), y = run(name, x);
    double worst = 0, worstBelow = 0;
    float where = 0, whereBelow = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double exact = reference(static_cast<double>(x[i]));
      if (std::abs(exact) >= 0x1.ffffffp127) {
        ASSERT_EQ(y[i], std::copysign(std::numeric_limits<float>::infinity(), exact)) << name << "(" << x[i] << ")";
        continue;
      }
      int exponent;
      std::frexp(exact, &exponent);
      bool normal = std::abs(exact) >= std::numeric_limits<float>::min();
      double error = std::abs(y[i] - exact) / std::ldexp(1.0, normal ? exponent - 24 : -149);
      if (std::isnan(error))
        error = std::numeric_limits<double>::infinity();
      if (normal && error > worst)
        worst = error, where = x[i];
      if (!normal && error > worstBelow)
        worstBelow = error, whereBelow = x[i];
    }
    RecordProperty(name, std::to_string(worst));
    printf("%-10s %.3f ulp at %.9g, subnormal results %.3g\n", name, worst, where, worstBelow);
    EXPECT_LE(worst, bound) << name << "(" << where << ")";
    EXPECT_LE(worstBelow, below) << name << "(" << whereBelow << ")";
  }

  /// The largest |error| / |x|.
  template <typename Reference>
  static void expectRelativeToInput(const char *name, Reference reference, double bound, float low, float high) {
    std::vector<float> x = sweep(low, high), y = run(name, x);
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double exact = reference(static_cast<double>(x[i]));
      double allowance = std::max<double>(std::abs(x[i]), std::numeric_limits<float>::min());
      double error = std::abs(y[i] - exact) / allowance;
      if (!(error <= worst))
        worst = error, where = x[i];
    }
    printf("%-10s %.3g |x| at %.9g\n", name, worst, where);
    EXPECT_LE(worst, bound) << name << "(" << where << ")";
  }

  static float at(const char *name, float x) { return run(name, {x})[0]; }

  static MLIRContext *context;
  static test::Jit *jit;
};
MLIRContext *MathFunctions::context;
test::Jit *MathFunctions::jit;

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST_F(MathFunctions, Exp) {
  expectUlp("exp", [](double x) { return std::exp(x); }, 1.2, -kMax, kMax);
  EXPECT_EQ(at("exp", -kInf), 0.0f);
  EXPECT_EQ(at("exp", kInf), kInf);
  EXPECT_EQ(at("exp", 0.0f), 1.0f);
}

TEST_F(MathFunctions, Exp2) {
  expectUlp("exp2", [](double x) { return std::exp2(x); }, 1.0, -kMax, kMax);
  EXPECT_EQ(at("exp2", -kInf), 0.0f);
  EXPECT_EQ(at("exp2", kInf), kInf);
  EXPECT_EQ(at("exp2", -3.0f), 0.125f);
}

TEST_F(MathFunctions, ExpNonPositiveFlushesSmallResults) {
  // 2^23 units of the least subnormal make the least normal number.
  expectUlp("exp_np", [](double x) { return std::exp(x); }, 1.2, -87.33f, 0.0f, 0x1p23);
  expectUlp("exp2_np", [](double x) { return std::exp2(x); }, 1.0, -126.0f, 0.0f);
  for (float x : {-88.0f, -1e4f, -1e20f, -kMax, -kInf}) {
    EXPECT_EQ(at("exp_np", x), 0.0f);
    EXPECT_EQ(at("exp2_np", 2 * x), 0.0f);
  }
}

TEST_F(MathFunctions, Log) {
  expectUlp("log", [](double x) { return std::log(x); }, 0.9, std::numeric_limits<float>::denorm_min(), kMax);
  EXPECT_EQ(at("log", 0.0f), -kInf);
  EXPECT_EQ(at("log", -0.0f), -kInf);
  EXPECT_EQ(at("log", kInf), kInf);
  EXPECT_EQ(at("log", 1.0f), 0.0f);
  EXPECT_TRUE(std::isnan(at("log", -1.0f)));
  EXPECT_TRUE(std::isnan(at("log", -kInf)));
}

TEST_F(MathFunctions, Tanh) {
  expectUlp("tanh", [](double x) { return std::tanh(x); }, 2.5, -kMax, kMax);
  EXPECT_EQ(at("tanh", kInf), 1.0f);
  EXPECT_EQ(at("tanh", -kInf), -1.0f);
  EXPECT_TRUE(std::signbit(at("tanh", -0.0f)));
}

TEST_F(MathFunctions, Sigmoid) {
  expectUlp("sigmoid", [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, 2.5, -kMax, kMax, 0x1p22);
  EXPECT_EQ(at("sigmoid", kInf), 1.0f);
  EXPECT_EQ(at("sigmoid", -kInf), 0.0f);
  EXPECT_EQ(at("sigmoid", 0.0f), 0.5f);
}

TEST_F(MathFunctions, Erf) {
  expectUlp("erf", [](double x) { return std::erf(x); }, 1.2, -kMax, kMax);
  EXPECT_EQ(at("erf", kInf), 1.0f);
  EXPECT_EQ(at("erf", -kInf), -1.0f);
}

TEST_F(MathFunctions, Gelu) {
  expectRelativeToInput(
      "gelu", [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }, 1.9e-7, -kMax, kMax);
  EXPECT_EQ(at("gelu", -1e6f), 0.0f);
  EXPECT_EQ(at("gelu", kInf), kInf);
}

TEST_F(MathFunctions, GeluTanh) {
  auto reference = [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
  };
  expectRelativeToInput("gelu_tanh", reference, 2e-7, -kMax, kMax);
  EXPECT_EQ(at("gelu_tanh", -1e6f), 0.0f);
  EXPECT_EQ(at("gelu_tanh", kInf), kInf);
}

TEST_F(MathFunctions, SinAndCos) {
  expectUlp("sin", [](double x) { return std::sin(x); }, 1.6, -kMax, kMax);
  expectUlp("cos", [](double x) { return std::cos(x); }, 1.6, -kMax, kMax);
  EXPECT_TRUE(std::isnan(at("sin", kInf)));
  EXPECT_TRUE(std::isnan(at("cos", -kInf)));
  EXPECT_TRUE(std::signbit(at("sin", -0.0f)));
}

TEST_F(MathFunctions, NanStays) {
  for (const Function &function : kFunctions)
    for (uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7fc12345u, 0x7fffffffu})
      EXPECT_TRUE(std::isnan(at(function.name, llvm::bit_cast<float>(bits)))) << function.name;
}

} // namespace
} // namespace ds
