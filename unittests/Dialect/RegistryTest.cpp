//===- RegistryTest.cpp - No op is without its rules ----------------------===//
// Goes over the registered ops, so that a new one cannot be forgotten.
//===----------------------------------------------------------------------===//
#include "dialects/ds/ir/DsOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <gtest/gtest.h>

using namespace mlir;

namespace {

class RegistryTest : public ::testing::Test {
protected:
  RegistryTest() { context.loadDialect<ds::DsDialect>(); }
  ArrayRef<RegisteredOperationName> ops() { return context.getRegisteredOperationsByDialect("ds"); }
  MLIRContext context;
};

TEST_F(RegistryTest, EveryOpHasAShapeFunction) {
  EXPECT_GT(ops().size(), 90u);
  for (RegisteredOperationName op : ops())
    if (op.getStringRef() != "ds.return")
      EXPECT_TRUE(op.hasInterface<ds::ShapeOpInterface>()) << op.getStringRef().str();
}

TEST_F(RegistryTest, EveryElementwiseOpIsComputedOnConstants) {
  for (RegisteredOperationName op : ops())
    if (op.hasTrait<ds::Elementwise>()) {
      EXPECT_TRUE(op.hasInterface<ds::FoldOpInterface>()) << op.getStringRef().str();
      EXPECT_TRUE(op.hasInterface<ds::ElementRuleOpInterface>()) << op.getStringRef().str();
    }
}

/// A rule, an expansion that is differentiated in its place, or the reason why there is neither. docs/Autodiff.md lists
/// them; that floats are not refused as none, `utils/generate-docs` checks where it writes the list.
TEST_F(RegistryTest, EveryOpSaysHowItIsDifferentiated) {
  for (RegisteredOperationName op : ops()) {
    if (op.hasTrait<OpTrait::ZeroResults>() || op.hasTrait<OpTrait::IsTerminator>())
      continue;
    std::string name = op.getStringRef().str();
    EXPECT_TRUE(op.hasInterface<ds::DifferentiableOpInterface>() || op.hasInterface<ds::CompositeOpInterface>())
        << name;
    if (op.hasTrait<ds::HasNoVjp>()) {
      EXPECT_FALSE(op.getInterface<ds::DifferentiableOpInterface>()->whyNoVjp().empty()) << name;
      EXPECT_FALSE(op.hasInterface<ds::CompositeOpInterface>()) << name << " has an expansion";
    }
  }
}

TEST_F(RegistryTest, EveryOpOccursInTheSyntaxTests) {
  std::string text;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(DS_SOURCE_DIR "/test/Dialect/ds", error), end; !error && it != end;
       it.increment(error)) {
    auto buffer = llvm::MemoryBuffer::getFile(it->path());
    ASSERT_TRUE(bool(buffer)) << it->path();
    text += (*buffer)->getBuffer();
  }
  for (RegisteredOperationName op : ops()) {
    std::string name = op.getStringRef().str();
    EXPECT_TRUE(text.find(name + " ") != std::string::npos || text.find(name + "(") != std::string::npos) << name;
  }
}

} // namespace
