//===- TestFiles.h - Files of one test ---------------------------*- C++ -*-===//
// Assumes: a writable temporary folder.
// Guarantees: the folder disappears with the object.
// Declines: sharing between tests.
//===----------------------------------------------------------------------===//
#ifndef DS_UNITTESTS_RUNTIME_TESTFILES_H
#define DS_UNITTESTS_RUNTIME_TESTFILES_H

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace ds::test {

class TestFolder {
public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ds-test-XXXXXX").string();
    if (!mkdtemp(name.data()))
      abort();
    path = name;
  }
  TestFolder(const TestFolder &) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string file(const std::string &name) const { return path + "/" + name; }

private:
  std::string path;
};

inline void writeFile(const std::string &path, std::string_view bytes) {
  FILE *file = fopen(path.c_str(), "wb");
  if (!file || fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || fclose(file))
    abort();
}

inline std::string readFile(const std::string &path) {
  std::string bytes;
  FILE *file = fopen(path.c_str(), "rb");
  char piece[4096];
  for (size_t got; file && (got = fread(piece, 1, sizeof piece, file)) > 0;)
    bytes.append(piece, got);
  if (file)
    fclose(file);
  return bytes;
}

template <size_t N> std::string_view bytesOf(const unsigned char (&array)[N]) {
  return {reinterpret_cast<const char *>(array), N};
}

} // namespace ds::test

#endif
