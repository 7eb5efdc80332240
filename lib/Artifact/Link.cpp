//===- Link.cpp - Runs the linker ------------------------------------------===//
// Assumes: /proc.
// Guarantees: what the linker reads and writes are files in memory without a name: whatever ends this process, nothing
// is left of them.
// Declines: files of 10 GB and more.
//===----------------------------------------------------------------------===//
#include "ds/Artifact/Link.h"
#include "runtime/include/ds_hash.h"
#include "runtime/include/ds_kernel.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace ds::artifact {

namespace {

namespace fs = std::filesystem;

#if defined(__aarch64__)
constexpr std::string_view ownArchitecture = "aarch64";
#else
constexpr std::string_view ownArchitecture = "x86_64";
#endif

std::string_view architectureOf(std::string_view triple) { return triple.substr(0, triple.find('-')); }

const char *dynamicLinker(std::string_view architecture) {
  return architecture == "aarch64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";
}

std::string systemError(const std::string &what, int number) { return what + ": " + strerror(number); }

/// A file in memory, which other programs reach by `path` if they get the descriptor.
class MemoryFile {
public:
  explicit MemoryFile(const char *name) : descriptor(memfd_create(name, MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile &) = delete;
  ~MemoryFile() {
    if (descriptor >= 0)
      close(descriptor);
  }
  int get() const { return descriptor; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }

private:
  int descriptor;
};

std::string writeAll(int descriptor, std::string_view contents) {
  while (!contents.empty()) {
    const ssize_t put = write(descriptor, contents.data(), std::min<size_t>(contents.size(), 1 << 30));
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return systemError("cannot write", put < 0 ? errno : ENOSPC);
    contents.remove_prefix(size_t(put));
  }
  return "";
}

std::string readAll(int descriptor, std::string &contents) {
  char piece[1 << 16];
  for (off_t at = 0;;) {
    const ssize_t got = pread(descriptor, piece, sizeof piece, at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return systemError("cannot read", errno);
    if (got == 0)
      return "";
    contents.append(piece, size_t(got));
    at += got;
  }
}

std::string readFile(const std::string &path, std::string &contents) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return systemError("cannot read '" + path + "'", errno);
  std::string error = readAll(descriptor, contents);
  close(descriptor);
  return error.empty() ? "" : "'" + path + "': " + error;
}

/// One member of an archive (the format of ar), which takes the linker one file for any number of objects.
std::string writeMember(int archive, size_t number, std::string_view contents) {
  char header[61];
  snprintf(header, sizeof header, "%-16s%-12d%-6d%-6d%-8o%-10zu`\n", (std::to_string(number) + ".o/").c_str(), 0, 0, 0,
           0644, contents.size());
  std::string error = writeAll(archive, header);
  if (error.empty())
    error = writeAll(archive, contents);
  return error.empty() && contents.size() % 2 ? writeAll(archive, "\n") : error;
}

/// Runs the linker, which gets `inputs` as they are, writes to `output` by its standard output, and errors to `log`.
std::string runLinker(const std::vector<std::string> &arguments, std::initializer_list<int> inputs, int output,
                      int log) {
  std::vector<char *> argv;
  for (const std::string &a : arguments)
    argv.push_back(const_cast<char *>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, log, 2);
  for (int input : inputs)
    posix_spawn_file_actions_adddup2(&actions, input, input); // open in the new program too
  // LLD would first remove a file named like its output, "-", from the working folder.
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  pid_t child;
  const int problem = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem)
    return systemError("cannot run the linker '" + arguments[0] + "'", problem);
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return systemError("cannot wait for the linker", errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return "";
  if (WIFSIGNALED(status))
    return "the linker was ended by signal " + std::to_string(WTERMSIG(status));
  std::string text;
  readAll(log, text);
  return "the linker failed: " + text.substr(0, text.find('\n'));
}

/// lib/ds beside the folder of this program, or in the folder of the library that this code is in (a Python module), or
/// ds beside that library (libds_compiler.so), otherwise where the build put it.
std::string ownLinkFolder() {
  std::error_code code;
  std::vector<fs::path> candidates;
  if (fs::path self = fs::read_symlink("/proc/self/exe", code); !code)
    candidates.push_back(self.parent_path().parent_path() / "lib" / "ds");
  if (Dl_info info; dladdr(reinterpret_cast<void *>(&ownLinkFolder), &info) && info.dli_fname) {
    const fs::path own = fs::path(info.dli_fname).parent_path();
    candidates.push_back(own / "lib" / "ds");
    candidates.push_back(own / "ds");
    candidates.push_back(own.parent_path() / "ds"); // lib/x86_64-linux-gnu
  }
  for (const fs::path &folder : candidates)
    if (fs::exists(folder / "libds_executable.a", code))
      return folder.string();
  return DS_LINK_DIR;
}

/// What programs for machines of another architecture are linked with lies in a folder of its own in there.
std::string linkFolder(std::string_view triple) {
  const std::string_view architecture = architectureOf(triple);
  const bool isOther = architecture != ownArchitecture && (architecture == "aarch64" || architecture == "x86_64");
  return ownLinkFolder() + (isOther ? "/" + std::string(architecture) + "-linux-gnu" : "");
}

std::string linker() {
  std::error_code code;
  return fs::exists(DS_LLD, code) ? DS_LLD : "ld.lld";
}

std::vector<std::string> linkerArguments(const std::string &archive, EmitKind kind, uint64_t codeId,
                                         const std::string &versionScript, const Program &program) {
  const std::string &triple = program.triple;
  const std::string folder = linkFolder(triple) + "/";
  if (kind == EmitKind::Object)
    return {linker(),
            "-r",
            "-o",
            "-",
            "--build-id=none",
            "--strip-debug",
            "--threads=1",
            "--no-mmap-output-file",
            "--fatal-warnings",
            "--whole-archive",
            archive,
            "--no-whole-archive",
            folder + "libds_builtins.a"};
  // No build id: it would be one more thing that must be the same twice, and it is never asked for.
  // Kernel symbols stay, for profilers.
  std::vector<std::string> arguments = {
      linker(), "-o", "-",   "--build-id=none", "--hash-style=gnu",      "--strip-debug",   "--gc-sections", "-z",
      "relro",  "-z", "now", "--threads=1",     "--no-mmap-output-file", "--fatal-warnings"};
  auto add = [&](std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); };
  if (kind == EmitKind::Executable)
    add({"-pie", "-dynamic-linker", dynamicLinker(architectureOf(triple)), folder + "Scrt1.o", folder + "crti.o"});
  if (kind == EmitKind::Executable && needsStrings(program))
    add({"-u", stringsSymbol});
  if (kind == EmitKind::Executable && needsTraining(program))
    add({"-u", trainSymbol});
  if (kind != EmitKind::Executable)
    add({"-shared", "--version-script=" + versionScript,
         "--defsym=" DS_ARTIFACT_ID_SYMBOL "=" + std::to_string(codeId)});
  add({"--whole-archive", archive, "--no-whole-archive"});
  if (kind == EmitKind::Executable)
    add({folder + "libds_executable.a"});
  add({folder + "libds_builtins.a", "--as-needed", folder + "libm.so.6", folder + "libc.so.6",
       folder + "libc_nonshared.a"});
  if (kind == EmitKind::Executable)
    add({folder + "crtn.o"});
  return arguments;
}

} // namespace

bool needsStrings(const Program &program) {
  return std::any_of(program.calls.begin(), program.calls.end(),
                     [](const Call &call) { return call.domain == "ds.string"; }) ||
         std::any_of(program.bodies.begin(), program.bodies.end(), needsStrings);
}

bool needsTraining(const Program &program) {
  return std::any_of(program.properties.begin(), program.properties.end(),
                     [](const auto &property) { return property.first == "ds.train"; });
}

std::string missingLinkFiles(std::string_view triple) {
  const std::string folder = linkFolder(triple);
  for (const char *name : {"libds_executable.a", "libds_builtins.a", "Scrt1.o", "crti.o", "crtn.o", "libc.so.6",
                           "libm.so.6", "libc_nonshared.a"}) {
    std::error_code code;
    if (fs::exists(folder + "/" + name, code))
      continue;
    std::string error = "programs for " + std::string(architectureOf(triple)) + " cannot be linked: '" + folder + "/" +
                        name + "' is missing; ";
    return error + (architectureOf(triple) == ownArchitecture
                        ? "install ds again"
                        : "build ds where the C and C++ libraries of that architecture are installed (Debian's "
                          "libstdc++-12-dev-arm64-cross, by utils/setup)");
  }
  return "";
}

std::string linkArtifact(const std::vector<Object> &objects, Variants variants, EmitKind kind, int output,
                         const std::string &symbol) {
  // The id says which code belongs to which metadata: a hash of both.
  std::string error;
  const std::vector<char> draft = serializeMetadata(variants, 0, 0, error);
  if (!error.empty())
    return "the program's description is inconsistent: " + error;
  MemoryFile archive("objects"), script("exports"), linked("linked"), log("log");
  for (const MemoryFile *file : {&archive, &script, &linked, &log})
    if (file->get() < 0)
      return systemError("cannot make a file in memory", errno);
  ds_hash hash;
  ds_hash_start(&hash);
  ds_hash_add(&hash, draft.data(), draft.size());
  if (error = writeAll(archive.get(), "!<arch>\n"); !error.empty())
    return error;
  for (size_t i = 0; i < objects.size(); ++i) {
    std::string read;
    std::string_view contents = objects[i].contents;
    if (contents.empty()) {
      if (error = readFile(objects[i].path, read); !error.empty())
        return error;
      contents = read;
    }
    ds_hash_add(&hash, contents.data(), contents.size());
    if (error = writeMember(archive.get(), i, contents); !error.empty())
      return error;
  }
  const uint64_t codeId = ds_hash_finish(&hash);
  error = writeAll(script.get(), "{ global: " DS_PROGRAM_SYMBOL "; " DS_ARTIFACT_ID_SYMBOL "; local: *; };\n");
  if (error.empty())
    error = runLinker(linkerArguments(archive.path(), kind, codeId, script.path(), variants.front()),
                      {archive.get(), script.get()}, linked.get(), log.get());
  std::string code;
  if (error.empty())
    error = readAll(linked.get(), code);
  if (error.empty())
    error = writeAll(output, code);
  if (!error.empty())
    return error;
  return kind == EmitKind::Object ? embedProgram(output, variants, codeId, symbol)
                                  : appendArtifact(output, variants, codeId);
}

} // namespace ds::artifact
