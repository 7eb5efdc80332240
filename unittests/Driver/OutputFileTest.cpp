//===- OutputFileTest.cpp - Whole files or none ---------------------------===//
#include "lib/Driver/OutputFile.h"
#include "unittests/Runtime/TestFiles.h"
#include <atomic>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

using ds::OutputFile;
using ds::test::readFile;
using ds::test::TestFolder;
using ds::test::writeFile;

namespace {

/// "" or what went wrong.
std::string put(const std::string &path, const std::string &contents, bool isProgram = false) {
  llvm::Expected<OutputFile> file = OutputFile::create(path);
  llvm::Error error = file ? file->write(contents) : file.takeError();
  if (!error)
    error = file->keep(isProgram);
  return error ? llvm::toString(std::move(error)) : "";
}

mode_t permissions(const std::string &path) {
  struct stat status;
  return stat(path.c_str(), &status) ? 0 : status.st_mode & 0777;
}

size_t filesIn(const TestFolder &folder) {
  return size_t(std::distance(std::filesystem::directory_iterator(folder.file("")), {}));
}

TEST(OutputFile, PermissionsFollowTheUmask) {
  TestFolder folder;
  const mode_t mask = umask(027);
  EXPECT_EQ(put(folder.file("data"), "x"), "");
  EXPECT_EQ(put(folder.file("program"), "x", true), "");
  umask(mask);
  EXPECT_EQ(permissions(folder.file("data")), mode_t(0640));
  EXPECT_EQ(permissions(folder.file("program")), mode_t(0750));
}

TEST(OutputFile, ThreadsMayWriteToOneName) {
  TestFolder folder;
  const mode_t mask = umask(022);
  std::atomic<bool> stop = false, changed = false;
  // Files that others make meanwhile get the process's permissions.
  std::thread other([&] {
    for (int i = 0; !stop; ++i) {
      const std::string path = folder.file("other" + std::to_string(i));
      writeFile(path, "");
      changed = changed || permissions(path) != 0644;
      std::filesystem::remove(path);
    }
  });
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100 && results[t].empty(); ++i)
        results[t] = put(folder.file("out"), std::string(1 << 14, char('a' + t)), i % 2);
    });
  for (std::thread &thread : threads)
    thread.join();
  stop = true;
  other.join();
  umask(mask);
  EXPECT_EQ(results, std::vector<std::string>(4));
  EXPECT_FALSE(changed);
  const std::string contents = readFile(folder.file("out"));
  ASSERT_FALSE(contents.empty());
  EXPECT_EQ(contents, std::string(1 << 14, contents[0]));
  EXPECT_EQ(filesIn(folder), 1u);
}

TEST(OutputFile, UnkeptFilesVanish) {
  TestFolder folder;
  writeFile(folder.file("out"), "old");
  {
    llvm::Expected<OutputFile> file = OutputFile::create(folder.file("out"));
    ASSERT_TRUE(bool(file));
    EXPECT_FALSE(bool(file->write("new")));
  }
  EXPECT_EQ(readFile(folder.file("out")), "old");
  EXPECT_EQ(filesIn(folder), 1u);
}

TEST(OutputFile, LinksStayAndLeadToTheNewFile) {
  TestFolder folder, other;
  writeFile(other.file("target"), "old");
  ASSERT_EQ(symlink(other.file("target").c_str(), folder.file("link").c_str()), 0);
  EXPECT_EQ(put(folder.file("link"), "new"), "");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.file("link")));
  EXPECT_EQ(readFile(other.file("target")), "new");
  writeFile(other.file("target.7.0.tmp"), "");
  OutputFile::removeLeftovers(folder.file("link"), 7);
  EXPECT_EQ(filesIn(other), 1u);

  // The standard output of a process is such a link; what it leads to may be no file.
  ASSERT_EQ(symlink("/dev/null", folder.file("device").c_str()), 0);
  EXPECT_NE(put(folder.file("device"), "new").find("not a regular file"), std::string::npos);
  ASSERT_EQ(symlink("nowhere", folder.file("dangling").c_str()), 0);
  EXPECT_NE(put(folder.file("dangling"), "new").find("does not exist"), std::string::npos);
  EXPECT_EQ(filesIn(folder), 3u);
}

TEST(OutputFile, LeftoversOfOneProcessAreRemoved) {
  TestFolder folder;
  for (const char *name : {"out", "out.7.0.tmp", "out.7.12.tmp", "out.77.0.tmp", "other.7.0.tmp", "out.7.0.tmp.npy"})
    writeFile(folder.file(name), "");
  OutputFile::removeLeftovers(folder.file("out"), 7);
  EXPECT_EQ(filesIn(folder), 4u);
  EXPECT_FALSE(std::filesystem::exists(folder.file("out.7.0.tmp")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("out.77.0.tmp")));
}

} // namespace
