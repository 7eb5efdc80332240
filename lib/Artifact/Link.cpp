//===- Link.cpp - Runs the linker ------------------------------------------===//
// Assumes: the output folder exists and may be written.
// Guarantees: everything happens in a temporary folder beside the output; the last step renames.
// Declines: cleaning up after a kill signal.
//===----------------------------------------------------------------------===//
#include "ds/Artifact/Link.h"
#include "runtime/include/ds_hash.h"
#include "runtime/include/ds_kernel.h"
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace ds::artifact {

namespace {

namespace fs = std::filesystem;

// Programs are linked for the machine that the build's C library is for.
#if defined(__aarch64__)
constexpr const char *dynamicLinker = "/lib/ld-linux-aarch64.so.1";
#else
constexpr const char *dynamicLinker = "/lib64/ld-linux-x86-64.so.2";
#endif

std::string systemError(const std::string &what, int number) { return what + ": " + strerror(number); }

/// A folder beside the output that disappears with all that is in it.
class TemporaryFolder {
public:
  std::string create(const std::string &besides) {
    std::error_code code;
    fs::path parent = fs::path(besides).parent_path();
    std::string name = ((parent.empty() ? fs::path(".") : parent) / ".ds-link-XXXXXX").string();
    if (!mkdtemp(name.data()))
      return systemError("cannot write into the folder of '" + besides + "'", errno);
    path = name;
    return "";
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path.empty())
      fs::remove_all(path, ignored);
  }
  std::string file(const std::string &name) const { return path + "/" + name; }

private:
  std::string path;
};

std::string writeFile(const std::string &path, std::string_view contents) {
  FILE *file = fopen(path.c_str(), "wbe");
  if (!file)
    return systemError("cannot write '" + path + "'", errno);
  const bool written = fwrite(contents.data(), 1, contents.size(), file) == contents.size();
  const int number = errno;
  if (fclose(file) || !written)
    return systemError("cannot write '" + path + "'", written ? errno : number);
  return "";
}

std::string readFile(const std::string &path, std::string &contents) {
  FILE *file = fopen(path.c_str(), "rbe");
  if (!file)
    return systemError("cannot read '" + path + "'", errno);
  char piece[1 << 16];
  for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
    contents.append(piece, got);
  const bool failed = ferror(file);
  fclose(file);
  return failed ? systemError("cannot read '" + path + "'", EIO) : "";
}

/// Runs a program; its standard error goes to `log`.
std::string runProgram(const std::vector<std::string> &arguments, const std::string &log) {
  std::vector<char *> argv;
  for (const std::string &a : arguments)
    argv.push_back(const_cast<char *>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
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
  std::string output;
  readFile(log, output);
  if (WIFSIGNALED(status))
    return "the linker was ended by signal " + std::to_string(WTERMSIG(status));
  return "the linker failed: " + output.substr(0, output.find('\n'));
}

/// lib/ds beside the folder of this program, otherwise where the build put it.
std::string linkFolder() {
  std::error_code code;
  fs::path self = fs::read_symlink("/proc/self/exe", code);
  if (!code) {
    fs::path beside = self.parent_path().parent_path() / "lib" / "ds";
    if (fs::exists(beside / "libds_executable.a", code))
      return beside.string();
  }
  return DS_LINK_DIR;
}

std::string linker() {
  std::error_code code;
  return fs::exists(DS_LLD, code) ? DS_LLD : "ld.lld";
}

std::vector<std::string> linkerArguments(const std::vector<std::string> &objects, EmitKind kind, uint64_t codeId,
                                         const std::string &versionScript, const std::string &output) {
  const std::string folder = linkFolder() + "/";
  if (kind == EmitKind::Object) {
    std::vector<std::string> arguments = {linker(),
                                          "-r",
                                          "-o",
                                          output,
                                          "--build-id=none",
                                          "--strip-debug",
                                          "--threads=1",
                                          "--no-mmap-output-file",
                                          "--fatal-warnings"};
    arguments.insert(arguments.end(), objects.begin(), objects.end());
    arguments.push_back(folder + "libds_builtins.a");
    return arguments;
  }
  // No build id: it would be one more thing that must be the same twice, and it is never asked for.
  // Kernel symbols stay, for profilers.
  std::vector<std::string> arguments = {
      linker(), "-o", output, "--build-id=none", "--hash-style=gnu",      "--strip-debug",   "--gc-sections", "-z",
      "relro",  "-z", "now",  "--threads=1",     "--no-mmap-output-file", "--fatal-warnings"};
  auto add = [&](std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); };
  if (kind == EmitKind::Executable)
    add({"-pie", "-dynamic-linker", dynamicLinker, folder + "Scrt1.o", folder + "crti.o"});
  else
    add({"-shared", "--version-script=" + versionScript,
         "--defsym=" DS_ARTIFACT_ID_SYMBOL "=" + std::to_string(codeId)});
  arguments.insert(arguments.end(), objects.begin(), objects.end());
  if (kind == EmitKind::Executable)
    add({folder + "libds_executable.a"});
  add({folder + "libds_builtins.a", "--as-needed", folder + "libm.so.6", folder + "libc.so.6",
       folder + "libc_nonshared.a"});
  if (kind == EmitKind::Executable)
    add({folder + "crtn.o"});
  return arguments;
}

} // namespace

std::string linkArtifact(const std::vector<Object> &objects, const Program &program, EmitKind kind,
                         const std::string &outputPath, const std::string &symbol) {
  std::error_code code;
  if (fs::is_directory(outputPath, code))
    return "cannot write '" + outputPath + "': it is a folder";
  TemporaryFolder folder;
  if (std::string error = folder.create(outputPath); !error.empty())
    return error;

  // The id says which code belongs to which metadata: a hash of both.
  std::string error;
  const std::vector<char> draft = serializeMetadata(program, 0, 0, error);
  if (!error.empty())
    return "the program's description is inconsistent: " + error;
  ds_hash hash;
  ds_hash_start(&hash);
  ds_hash_add(&hash, draft.data(), draft.size());
  std::vector<std::string> paths;
  for (const Object &object : objects) {
    std::string read;
    std::string_view contents = object.contents;
    std::string path = object.path;
    if (contents.empty()) {
      if (error = readFile(path, read); !error.empty())
        return error;
      contents = read;
    } else {
      path = folder.file(std::to_string(paths.size()) + ".o");
      if (error = writeFile(path, contents); !error.empty())
        return error;
    }
    ds_hash_add(&hash, contents.data(), contents.size());
    paths.push_back(path);
  }
  const uint64_t codeId = ds_hash_finish(&hash);

  const std::string linked = folder.file("linked"), script = folder.file("exports");
  if (error = writeFile(script, "{ global: " DS_PROGRAM_SYMBOL "; " DS_ARTIFACT_ID_SYMBOL "; local: *; };\n");
      !error.empty())
    return error;
  if (error = runProgram(linkerArguments(paths, kind, codeId, script, linked), folder.file("log")); !error.empty())
    return error;

  const int descriptor = open(linked.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return systemError("cannot open the linked file", errno);
  error = kind == EmitKind::Object ? embedProgram(descriptor, program, codeId, symbol)
                                   : appendArtifact(descriptor, program, codeId);
  if (close(descriptor) && error.empty())
    error = systemError("cannot write", errno);
  if (!error.empty())
    return "'" + outputPath + "': " + error;
  if (rename(linked.c_str(), outputPath.c_str()))
    return systemError("cannot write '" + outputPath + "'", errno);
  return "";
}

} // namespace ds::artifact
