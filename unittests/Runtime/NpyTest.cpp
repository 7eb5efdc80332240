//===- NpyTest.cpp -----------------------------------------------------------===//
#include "Npy.h"
#include "TestFiles.h"
#include <cstring>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

using namespace ds::runtime;
using namespace ds::test;

namespace {

std::string npy(const std::string &header, const std::string &data, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  bytes += char(header.size() & 255);
  bytes += char(header.size() >> 8);
  if (version > 1)
    bytes += std::string(2, '\0');
  return bytes + header + data;
}

/// The message, or "" where it can be read.
std::string problem(const std::string &bytes, NpyArray &array) {
  ds_error error = {};
  void *buffer = allocateFileBuffer(bytes.size());
  memcpy(buffer, bytes.data(), bytes.size());
  return parseNpy(buffer, bytes.size(), "f.npy", array, &error) ? error.message : "";
}

std::string problem(const std::string &bytes) {
  NpyArray array;
  return problem(bytes, array);
}

const std::string eight(8, 'x');

TEST(Npy, TextsAreStrings) {
  NpyArray array;
  std::string wide("a\0\0\0\xe9\0\0\0\0\xf6\x01\0"
                   "b\0\0\0\0\0\0\0\0\0\0\0",
                   24);
  ASSERT_EQ(problem(npy("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }", wide), array), "");
  ASSERT_EQ(array.Dtype, DS_STRING);
  const auto *texts = reinterpret_cast<const ds_string *>(array.Data);
  EXPECT_EQ(std::string(texts[0].data, texts[0].size), "a\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_STREQ(texts[1].data, "b");
  ASSERT_EQ(
      problem(npy("{'descr': '|S2', 'fortran_order': False, 'shape': (3,), }", std::string("ab\0\0c\0", 6)), array),
      "");
  texts = reinterpret_cast<const ds_string *>(array.Data);
  EXPECT_EQ(texts[0].size + texts[1].size + texts[2].size, 3u);
  EXPECT_NE(problem(npy("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }", "abc"), array).find("truncated"),
            std::string::npos);
  EXPECT_NE(problem(npy("{'descr': '<U99999999999', 'fortran_order': False, 'shape': (2,), }", "abc"), array), "");
  // No characters: half of a pair, past the last one.
  for (std::string bad : {std::string("\0\xd8\0\0", 4), std::string("\0\0\x11\0", 4)})
    EXPECT_NE(problem(npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", bad), array)
                  .find("no proper character in its string number 0"),
              std::string::npos);
  EXPECT_NE(problem(npy("{'descr': '<U 1', 'fortran_order': False, 'shape': (1,), }", "abcd"), array), "");
  EXPECT_NE(problem(npy("{'descr': '<U+1', 'fortran_order': False, 'shape': (1,), }", "abcd"), array), "");
  // A file without data must not take memory without end.
  ASSERT_EQ(problem(npy("{'descr': '<U0', 'fortran_order': False, 'shape': (3,), }", ""), array), "");
  EXPECT_NE(problem(npy("{'descr': '<U0', 'fortran_order': False, 'shape': (200000000,), }", ""), array)
                .find("strings without a character"),
            std::string::npos);
  EXPECT_NE(problem(npy("{'descr': '>U1', 'fortran_order': False, 'shape': (1,), }", "abcd"), array), "");
}

} // namespace

TEST(Npy, ReadsAllVersions) {
  for (char version : {1, 2, 3}) {
    NpyArray array;
    ASSERT_EQ(problem(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n", eight, version), array), "");
    EXPECT_EQ(array.Dtype, DS_FLOAT32);
    ASSERT_EQ(array.Shape.size(), 2u);
    EXPECT_EQ(array.Shape[0], 2);
    EXPECT_EQ(std::string(array.Data, array.Bytes), eight);
  }
}

TEST(Npy, ReadsWhatOthersWrite) {
  EXPECT_EQ(problem(npy("{\"shape\":(8,),\"descr\":\"|b1\",\"fortran_order\":False}", eight)), "");
  EXPECT_EQ(problem(npy("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", eight)), "");
  EXPECT_EQ(problem(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 999999999999)}", "")), "");
  EXPECT_EQ(problem(npy("{'descr': '|V2', 'fortran_order': False, 'shape': (4L,)}", eight)), "");
  EXPECT_EQ(problem(npy("{'descr': '>u1', 'fortran_order': False, 'shape': (8,)}", eight)), "");
  EXPECT_EQ(problem(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}", eight)), "");
}

TEST(Npy, FortranOrderIsReversed) {
  // Element [i][j][k] of shape 2x3x2 is the number 100i + 10j + k; np.asfortranarray writes the first index fastest.
  std::vector<uint16_t> columns, rows;
  for (uint16_t k = 0; k < 2; ++k)
    for (uint16_t j = 0; j < 3; ++j)
      for (uint16_t i = 0; i < 2; ++i)
        columns.push_back(uint16_t(100 * i + 10 * j + k));
  for (uint16_t i = 0; i < 2; ++i)
    for (uint16_t j = 0; j < 3; ++j)
      for (uint16_t k = 0; k < 2; ++k)
        rows.push_back(uint16_t(100 * i + 10 * j + k));
  const std::string data(reinterpret_cast<const char *>(columns.data()), columns.size() * 2);
  NpyArray array;
  ASSERT_EQ(problem(npy("{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3, 2)}", data), array), "");
  ASSERT_EQ(array.Bytes, rows.size() * 2);
  EXPECT_EQ(memcmp(array.Data, rows.data(), array.Bytes), 0);
  ASSERT_EQ(problem(npy("{'descr': '|S1', 'fortran_order': True, 'shape': (2, 2)}", "acbd"), array), "");
  const auto *texts = reinterpret_cast<const ds_string *>(array.Data);
  EXPECT_STREQ(texts[1].data, "b");
  EXPECT_STREQ(texts[2].data, "c");
  EXPECT_EQ(problem(npy("{'descr': '<u2', 'fortran_order': True, 'shape': (0, 9999999999, 2)}", ""), array), "");
  EXPECT_NE(problem(npy("{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3, 3)}", data), array), "");
}

TEST(Npy, SaysWhatIsWrong) {
  auto expect = [](const std::string &bytes, const char *part) {
    const std::string message = problem(bytes);
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  };
  expect("", "not a .npy file");
  expect("PK\3\4 something else", "not a .npy file");
  expect(npy("{}", "", 9), "version 9.0");
  expect(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", eight), "big-endian");
  expect(npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", eight), "type '<c8'");
  expect(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", eight), "type '|O'");
  expect(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", eight), "structured");
  expect(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", eight), "truncated");
  expect(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", eight), "more data");
  expect(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", eight), "'shape'");
  expect(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", eight), "'shape'");
  expect(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", eight),
         "cannot have the shape");
  expect(npy("{'descr': '<f4', 'fortran_order': False}", eight), "lacks");
  expect(npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", eight), "'descr'");
  expect(npy("{'descr': '<f4", eight).substr(0, 20), "header");
}

TEST(Npy, NoDamageCrashes) {
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n", eight);
  for (size_t i = 0; i < good.size(); ++i) {
    problem(good.substr(0, i));
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = char(bad[i] ^ 1 << bit);
      problem(bad);
    }
  }
}

TEST(Npy, WritesWhatItReads) {
  TestFolder folder;
  for (int32_t dtype = DS_BOOL; dtype <= DS_FLOAT64; ++dtype)
    for (int32_t rank : {0, 1, 3}) {
      const int64_t shape[] = {2, 3, 1};
      std::string data(6 * ds_dtype_size(dtype), '\1');
      ds_tensor tensor = {data.data(), dtype, rank, shape, nullptr};
      ds_error error = {};
      const std::string path = folder.file("x.npy");
      ASSERT_EQ(writeNpy(path.c_str(), tensor, &error), DS_OK) << error.message;
      NpyArray array;
      ASSERT_EQ(readNpy(path.c_str(), array, &error), DS_OK) << error.message;
      EXPECT_EQ(array.Dtype, dtype);
      EXPECT_EQ(array.Shape.size(), size_t(rank));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(array.Data) % 64, 0u);
      EXPECT_EQ(array.Bytes, ds_dtype_size(dtype) * (rank == 0 ? 1 : rank == 1 ? 2 : 6));
    }
}

TEST(Npy, LeavesNothingWhereItCannotWrite) {
  ds_error error = {};
  float value = 1;
  ds_tensor tensor = {&value, DS_FLOAT32, 0, nullptr, nullptr};
  EXPECT_EQ(writeNpy("/nonexistent/x.npy", tensor, &error), DS_IO_ERROR);
  EXPECT_NE(std::string(error.message).find("/nonexistent/x.npy"), std::string::npos);
}

TEST(Npy, ThreadsMayWriteToOneName) {
  TestFolder folder;
  const std::string path = folder.file("x.npy");
  const mode_t mask = umask(027);
  std::vector<std::thread> threads;
  std::vector<ds_status> results(4);
  for (size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] {
      const int64_t shape[] = {1 << 14};
      const std::string data(1 << 14, char('a' + t)); // whoever is last, the file is all theirs
      for (int i = 0; i < 50 && !results[t]; ++i) {
        ds_error error = {};
        results[t] = writeNpy(path.c_str(), {const_cast<char *>(data.data()), DS_UINT8, 1, shape, nullptr}, &error);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(umask(mask), mode_t(027)); // the process's own, never changed on the way
  EXPECT_EQ(results, std::vector<ds_status>(4, DS_OK));
  NpyArray array;
  ds_error error = {};
  ASSERT_EQ(readNpy(path.c_str(), array, &error), DS_OK) << error.message;
  EXPECT_EQ(std::string(array.Data, array.Bytes), std::string(1 << 14, array.Data[0]));
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, mode_t(0640));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.file("")), {}), 1); // nothing is left beside it
}
