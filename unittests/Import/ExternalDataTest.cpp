//===- ExternalDataTest.cpp - What external data may be read --------------===//
#include "ds/Import/ExternalData.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <gmock/gmock.h>

using namespace llvm;
using testing::HasSubstr;

namespace {

/// A folder `models` with a file of 64 bytes, and a secret beside it.
class ExternalData : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(sys::fs::createUniqueDirectory("ds-external-data", root));
    folder = root;
    sys::path::append(folder, "models");
    ASSERT_FALSE(sys::fs::create_directory(folder));
    write(folder + "/weights.bin");
    write(root + "/secret.bin");
  }
  void TearDown() override { sys::fs::remove_directories(root); }

  static void write(const Twine &path) {
    std::error_code code;
    raw_fd_ostream(path.str(), code) << std::string(64, 'x');
    ASSERT_FALSE(code);
  }
  std::string reason(StringRef location, std::optional<uint64_t> offset = {}, std::optional<uint64_t> length = {},
                     uint64_t expected = 16) {
    auto range = ds::resolveExternalData(folder, location, offset, length, expected);
    return range ? "" : toString(range.takeError());
  }

  SmallString<128> root, folder;
};

TEST_F(ExternalData, FileBesideTheModelIsAccepted) {
  auto range = ds::resolveExternalData(folder, "weights.bin", 48, 16, 16);
  ASSERT_TRUE(bool(range)) << toString(range.takeError());
  EXPECT_TRUE(StringRef(range->path).ends_with("models/weights.bin"));
  EXPECT_EQ(range->offset, 48u);
  EXPECT_EQ(range->length, 16u);
}

TEST_F(ExternalData, OffsetAndLengthMayBeAbsent) { EXPECT_EQ(reason("weights.bin"), ""); }

TEST_F(ExternalData, LinkInsideTheFolderIsAccepted) {
  ASSERT_FALSE(sys::fs::create_link("weights.bin", folder + "/link.bin"));
  EXPECT_EQ(reason("link.bin"), "");
}

TEST_F(ExternalData, LocationMustBeRelative) {
  EXPECT_THAT(reason((root + "/secret.bin").str()), HasSubstr("absolute path"));
  EXPECT_THAT(reason((folder + "/weights.bin").str()), HasSubstr("absolute path"));
}

TEST_F(ExternalData, ParentFoldersAreRefused) {
  EXPECT_THAT(reason("../secret.bin"), HasSubstr("'..'"));
  EXPECT_THAT(reason("a/../../secret.bin"), HasSubstr("'..'"));
  EXPECT_THAT(reason("../models/weights.bin"), HasSubstr("'..'"));
}

TEST_F(ExternalData, LinksOutOfTheFolderAreRefused) {
  ASSERT_FALSE(sys::fs::create_link("../secret.bin", folder + "/link.bin"));
  EXPECT_THAT(reason("link.bin"), HasSubstr("leaves the model's folder"));
  ASSERT_FALSE(sys::fs::create_link("..", folder + "/up"));
  EXPECT_THAT(reason("up/secret.bin"), HasSubstr("leaves the model's folder"));
}

TEST_F(ExternalData, FolderWithTheSamePrefixIsAnother) {
  ASSERT_FALSE(sys::fs::create_directory(folder + "-other"));
  write(folder + "-other/weights.bin");
  ASSERT_FALSE(sys::fs::create_link(folder + "-other", folder + "/other"));
  EXPECT_THAT(reason("other/weights.bin"), HasSubstr("leaves the model's folder"));
}

TEST_F(ExternalData, WhatIsNoFileIsRefused) {
  EXPECT_THAT(reason(""), HasSubstr("no location"));
  EXPECT_THAT(reason("absent.bin"), HasSubstr("cannot be found"));
  EXPECT_THAT(reason("."), HasSubstr("not a regular file"));
  EXPECT_THAT(reason(StringRef("weights.bin\0.txt", 16)), HasSubstr("zero byte"));
}

TEST_F(ExternalData, RangeMustLieInTheFile) {
  EXPECT_THAT(reason("weights.bin", 49, 16), HasSubstr("the file has 64"));
  EXPECT_THAT(reason("weights.bin", 65, 0, 0), HasSubstr("the file has 64"));
  EXPECT_THAT(reason("weights.bin", UINT64_MAX, 16), HasSubstr("the file has 64"));
  EXPECT_THAT(reason("weights.bin", 0, UINT64_MAX, UINT64_MAX), HasSubstr("the file has 64"));
}

TEST_F(ExternalData, LengthMustBeTheTensors) {
  EXPECT_THAT(reason("weights.bin", 0, 8), HasSubstr("has length 8, but the tensor's type needs 16 bytes"));
}

} // namespace
