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
