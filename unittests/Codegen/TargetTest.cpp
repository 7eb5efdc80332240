//===- TargetTest.cpp - What a program runs on ----------------------------===//
// Guarantees: the grammar of --target, and that each way to miss it is told what was expected.
//===----------------------------------------------------------------------===//
#include "ds/Codegen/Target.h"
#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"

using namespace ds;

namespace {

/// The reason why `text` is no target; "" if it is one.
std::string reject(llvm::StringRef text) {
  std::string error;
  bool isTarget = succeeded(Target::resolve(text, "x86-64-v3", error));
  EXPECT_EQ(isTarget, error.empty());
  return error;
}

Target resolve(llvm::StringRef text, llvm::StringRef cpu) {
  std::string error;
  mlir::FailureOr<Target> target = Target::resolve(text, cpu, error);
  EXPECT_TRUE(succeeded(target)) << text.str() << ": " << error;
  return succeeded(target) ? *target : Target();
}

TEST(TargetTest, WithoutDevicesItIsAHost) {
  Target x86 = resolve("x86_64-linux-gnu", "x86-64-v3");
  EXPECT_EQ(x86.host.cpu, "x86-64-v3");
  EXPECT_EQ(x86.host.vectorBytes, 32);
  EXPECT_TRUE(x86.devices.empty());
  EXPECT_EQ(x86.whyNoCode(), "");
  Target arm = resolve("aarch64-linux-gnu", "");
  EXPECT_EQ(arm.host.triple, "aarch64-unknown-linux-gnu");
  EXPECT_EQ(arm.host.cpu, "generic");
}

TEST(TargetTest, DevicesFollowTheHostInTheirOrder) {
  Target target = resolve("x86_64-linux-gnu,cuda:sm_90a,cuda:sm_80", "x86-64-v4");
  EXPECT_EQ(target.host.cpu, "x86-64-v4");
  ASSERT_EQ(target.devices.size(), 2u);
  EXPECT_EQ(target.devices[0].kind, DeviceTarget::Kind::Cuda);
  EXPECT_EQ(target.devices[0].arch, "sm_90a");
  EXPECT_EQ(target.devices[1].str(), "cuda:sm_80");
}

TEST(TargetTest, DevicesAloneHaveThisMachineAsTheirHost) {
  Target target = resolve("cuda:sm_89", "");
  ASSERT_EQ(target.devices.size(), 1u);
  EXPECT_EQ(target.devices[0].str(), "cuda:sm_89");
  EXPECT_EQ(target.host.triple, resolve("", "").host.triple);
}

TEST(TargetTest, ADeviceHasNoCodeYet) {
  EXPECT_EQ(resolve("cuda:sm_90a", "").whyNoCode(),
            "the target has the device 'cuda:sm_90a', and this compiler generates no code for devices yet; leave it "
            "out");
}

TEST(TargetTest, WhatIsNoTargetIsToldWhatWasExpected) {
  EXPECT_EQ(reject("riscv64-linux-gnu"),
            "unknown target 'riscv64-linux-gnu'; expected x86_64-linux-gnu or aarch64-linux-gnu");
  EXPECT_EQ(reject("x86_64-linux-gnu,cdua:sm_90a"),
            "unknown kind of device 'cdua' in 'cdua:sm_90a'; expected cuda:ARCH, such as 'cuda:sm_90a'; did you mean "
            "'cuda:sm_90a'?");
  EXPECT_EQ(reject("metal:m3"),
            "unknown kind of device 'metal' in 'metal:m3'; expected cuda:ARCH, such as 'cuda:sm_90a'");
  EXPECT_EQ(reject("cuda:sm_91"), "unknown CUDA architecture 'sm_91'; expected a name such as 'sm_80', 'sm_89', "
                                  "'sm_90a', 'sm_100a'; did you mean 'sm_90'?");
  EXPECT_EQ(reject("cuda:hopper"),
            "unknown CUDA architecture 'hopper'; expected a name such as 'sm_80', 'sm_89', 'sm_90a', 'sm_100a'");
  EXPECT_EQ(reject("cuda"), "the device 'cuda' needs an architecture, such as 'cuda:sm_90a'");
  EXPECT_EQ(reject("cuda:"), "the device 'cuda:' needs an architecture, such as 'cuda:sm_90a'");
  EXPECT_EQ(reject("sm_90a"), "'sm_90a' is no machine; did you mean the device 'cuda:sm_90a'?");
  EXPECT_EQ(reject("x86_64-linux-gnu,aarch64-linux-gnu"),
            "the target 'x86_64-linux-gnu,aarch64-linux-gnu' has two hosts, 'x86_64-linux-gnu' and "
            "'aarch64-linux-gnu'; expected one, and devices such as 'cuda:sm_90a'");
  EXPECT_EQ(reject("cuda:sm_80,x86_64-linux-gnu"), "the host 'x86_64-linux-gnu' comes first in a target, before "
                                                   "devices, not as in 'cuda:sm_80,x86_64-linux-gnu'");
  EXPECT_EQ(reject("cuda:sm_80,cuda:sm_80"), "the target 'cuda:sm_80,cuda:sm_80' has the device 'cuda:sm_80' twice");
  for (llvm::StringRef text : {",", ",cuda:sm_80", "x86_64-linux-gnu,,cuda:sm_80", "x86_64-linux-gnu,"})
    EXPECT_EQ(reject(text), "the target '" + text.str() + "' has an empty entry; expected HOST,cuda:ARCH,...");
}

} // namespace
