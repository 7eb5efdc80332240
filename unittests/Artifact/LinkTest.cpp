//===- LinkTest.cpp - Linking and appending ----------------------------------===//
#include "Tiny.h"
#include "ds_runtime.h"
#include <csignal>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace ds::artifact;
using namespace ds::test;

namespace {

struct Sections {
  std::vector<Elf64_Shdr> headers;
  std::vector<std::string> names;
  const Elf64_Shdr *find(const std::string &name) const {
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i] == name)
        return &headers[i];
    return nullptr;
  }
};

Sections sectionsOf(const std::string &bytes) {
  Sections result;
  Elf64_Ehdr header;
  memcpy(&header, bytes.data(), sizeof header);
  result.headers.resize(header.e_shnum);
  memcpy(result.headers.data(), bytes.data() + header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr &s : result.headers)
    result.names.push_back(bytes.data() + result.headers[header.e_shstrndx].sh_offset + s.sh_name);
  return result;
}

size_t filesIn(const std::string &folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator(folder))
    ++count;
  return count;
}

} // namespace

TEST(Link, AppendsSectionsBehindTheLinkedFile) {
  TestFolder folder;
  for (EmitKind kind : {EmitKind::Executable, EmitKind::SharedLibrary}) {
    const std::string bytes = readFile(linkTiny(folder.file("m"), kind));
    const Sections sections = sectionsOf(bytes);
    const Elf64_Shdr *weights = sections.find(DS_ARTIFACT_WEIGHTS_SECTION),
                     *meta = sections.find(DS_ARTIFACT_META_SECTION);
    ASSERT_TRUE(weights && meta && sections.find(".text") && sections.find(".symtab"));
    EXPECT_EQ(weights->sh_offset % 4096, 0u);
    EXPECT_EQ(weights->sh_flags & SHF_ALLOC, 0u);
    EXPECT_EQ(memcmp(bytes.data() + weights->sh_offset, tinyWeights, sizeof tinyWeights), 0);
    EXPECT_EQ(memcmp(bytes.data() + meta->sh_offset, DS_ARTIFACT_MAGIC, 8), 0);
    // Profilers find the kernels by name.
    EXPECT_NE(bytes.find("multiply_weights"), std::string::npos);
  }
}

TEST(Link, SameInputGivesSameBytes) {
  TestFolder first, second;
  for (EmitKind kind : {EmitKind::Executable, EmitKind::SharedLibrary})
    EXPECT_EQ(readFile(linkTiny(first.file("m"), kind)), readFile(linkTiny(second.file("another name"), kind)));
}

TEST(Link, TakesObjectsFromMemory) {
  TestFolder folder;
  const std::string object = readFile(DS_TINY_OBJECT);
  const Program program = tinyProgram();
  ASSERT_EQ(linkTo(folder.file("a"), {{"", object}}, {&program, 1}, EmitKind::SharedLibrary), "");
  EXPECT_EQ(readFile(folder.file("a")), readFile(linkTiny(folder.file("b"), EmitKind::SharedLibrary)));
  EXPECT_EQ(filesIn(folder.file("")), 2u);
}

TEST(Link, StreamsLargeWeightsToAHugePage) {
  TestFolder folder;
  Program program = tinyProgram();
  const std::vector<char> chunk(1 << 20, 7);
  program.weights.push_back({5, "abcde", nullptr});
  program.weights.push_back({uint64_t(6) << 20, nullptr, [&](const Weight::Sink &sink) {
                               for (int i = 0; i < 6; ++i)
                                 sink(chunk.data(), chunk.size());
                             }});
  program.buffers.push_back(Buffer::weight(1));
  program.buffers.push_back(Buffer::weight(2));
  const std::string path = linkTiny(folder.file("m.so"), EmitKind::SharedLibrary, program);
  const std::string bytes = readFile(path);
  const Elf64_Shdr weights = *sectionsOf(bytes).find(DS_ARTIFACT_WEIGHTS_SECTION);
  EXPECT_EQ(weights.sh_offset % (2 << 20), 0u);
  EXPECT_EQ(bytes.substr(weights.sh_offset + 64, 5), "abcde");
  EXPECT_EQ(bytes[weights.sh_offset + 128], 7);
  EXPECT_EQ(weights.sh_size, 128u + (6u << 20));
  // The gap in front takes no room on disk.
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, info.st_size - (1 << 20));
  ds_model *model = nullptr;
  ds_error error = {};
  ASSERT_EQ(ds_model_load(path.c_str(), &model, &error), DS_OK) << error.message;
  EXPECT_EQ(ds_model_verify(model, &error), DS_OK) << error.message;
  ds_model_release(model);
}

TEST(Link, RefusesWeightsOfAnotherSize) {
  TestFolder folder;
  Program program = tinyProgram();
  program.weights[0] = {16, nullptr, [](const Weight::Sink &sink) { sink("short", 5); }};
  EXPECT_NE(
      linkTo(folder.file("m"), {{DS_TINY_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary).find("16 bytes, got 5"),
      std::string::npos);
  EXPECT_EQ(filesIn(folder.file("")), 0u);
}

TEST(Link, FailuresSayWhy) {
  TestFolder folder;
  auto link = [&](const Object &object, const Program &program) {
    return linkTo(folder.file("m"), {object}, {&program, 1}, EmitKind::SharedLibrary);
  };
  EXPECT_NE(link({"/nonexistent.o", {}}, tinyProgram()).find("/nonexistent.o"), std::string::npos);
  EXPECT_NE(link({"", "no object file"}, tinyProgram()).find("linker failed"), std::string::npos);
  Program program = tinyProgram();
  program.launches[1].kernel = 9;
  EXPECT_NE(link({DS_TINY_OBJECT, {}}, program).find("a launch"), std::string::npos);
  EXPECT_EQ(filesIn(folder.file("")), 0u);
}

TEST(Link, WorksInAFolderWithAFileNamedLikeTheLinkersOutput) {
  TestFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.file(""));
  std::ofstream("-") << "mine";
  linkTiny("m", EmitKind::Executable);
  EXPECT_EQ(readFile("-"), "mine");
  std::filesystem::current_path(before);
}

TEST(Link, FullDisk) {
  TestFolder folder;
  Program program = tinyProgram();
  const std::vector<char> weight(1 << 20);
  program.weights.push_back({weight.size(), weight.data(), nullptr});
  // A limit on file sizes stands for the end of the disk.
  rlimit old, small;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = {256 << 10, old.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string error = linkTo(folder.file("m"), {{DS_TINY_OBJECT, {}}}, {&program, 1}, EmitKind::SharedLibrary);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_NE(error.find("cannot write"), std::string::npos) << error;
  EXPECT_EQ(filesIn(folder.file("")), 0u);
}

TEST(Link, FeaturesThatTheRuntimeChecks) {
  EXPECT_EQ(checkedFeatures("x86_64-pc-linux-gnu", "+avx2,-avx512f,+slow-shld,+fma,+sse4.2,+neon"),
            (std::vector<std::string>{"avx2", "fma", "sse4.2"}));
  EXPECT_EQ(checkedFeatures("aarch64-unknown-linux-gnu", "+neon,-sve,+fuse-aes,+dotprod,+aes,+avx2"),
            (std::vector<std::string>{"neon", "dotprod"}));
  EXPECT_TRUE(checkedFeatures("x86_64-pc-linux-gnu", "").empty());
}
