//===- mutate-files.cpp - Damaged files, given to the runtime ---------------===//
// Assumes: sound files to start from, made by the script mutate-files, which also builds this with sanitizers.
// Guarantees: the same seed makes the same damage; each case runs under a time limit, in a child process that may die.
//             A fault is a crash, a report, no end in time, a refusal without a message, or damage that goes unseen.
// Declines: forgery: where a checksum was made right again, the code stays as it is.
//
//     mutate-files <artifact|weights|npy|npz> <file> <seed> <first> <count> <seconds>
//===----------------------------------------------------------------------===//
#include "Npy.h"
#include "ds_hash.h"
#include "ds_runtime.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <random>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace ds::runtime;
using Bytes = std::vector<unsigned char>;
using Random = std::mt19937_64;

namespace {

Bytes readFile(const std::string &path) {
  Bytes bytes;
  FILE *file = fopen(path.c_str(), "rb");
  if (!file)
    exit(2);
  unsigned char piece[65536];
  for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
    bytes.insert(bytes.end(), piece, piece + got);
  fclose(file);
  return bytes;
}

void writeFile(const std::string &path, const Bytes &bytes) {
  FILE *file = fopen(path.c_str(), "wb");
  if (!file || fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || fclose(file))
    exit(2);
}

/// Changes bytes of [first, last); may also change the length, where `last` is the end.
void damage(Random &random, Bytes &bytes, size_t first, size_t last) {
  static const uint64_t numbers[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     uint64_t(1) << 40,
                                     uint64_t(INT64_MAX),
                                     uint64_t(1) << 63,
                                     UINT64_MAX};
  const bool isEnd = last == bytes.size();
  for (unsigned left = 1 + unsigned(random() % 4); left && first < last; --left) {
    const size_t at = first + random() % (last - first);
    switch (random() % (isEnd ? 8 : 5)) {
    case 0:
      bytes[at] = (unsigned char)random();
      break;
    case 1:
      bytes[at] ^= (unsigned char)(1u << random() % 8);
      break;
    case 2:
    case 3:
    case 4: { // a number, at a place where numbers lie
      const size_t size = size_t(1) << random() % 4, place = first + (at - first) / size * size;
      const uint64_t number = random() % 3 ? numbers[random() % (sizeof numbers / 8)] : bytes.size() + random() % 9 - 4;
      if (place + size <= last)
        memcpy(&bytes[place], &number, size);
      break;
    }
    case 5:
      bytes.resize(at);
      break;
    case 6:
      bytes.insert(bytes.begin() + long(at), 1 + random() % 9, (unsigned char)random());
      break;
    default:
      bytes.erase(bytes.begin() + long(at), bytes.begin() + long(std::min(last, at + 1 + random() % 9)));
    }
    last = isEnd ? bytes.size() : std::min(last, bytes.size());
  }
}

std::string scratch; // a folder of this process, in the current one

/// What went wrong with a case; "" if nothing. `Accepted` counts those that were taken as sound.
struct Outcome {
  std::string fault;
  bool accepted = false;
};

Outcome refused(const ds_error &error, ds_status status, bool mayBeFile = false) {
  if (!error.message[0])
    return {"refused without a message"};
  if (status != DS_BAD_ARTIFACT && status != DS_BAD_INPUT && status != DS_UNSUPPORTED && status != DS_OUT_OF_MEMORY &&
      !(mayBeFile && status == DS_IO_ERROR))
    return {"refused with status " + std::to_string(status) + ": " + error.message};
  return {};
}

/// Looks at all that a loaded model tells of itself.
size_t inspect(ds_model *model) {
  size_t sum = 0;
  ds_tensor_info info;
  auto look = [&] {
    sum += strlen(info.name);
    for (int32_t d = 0; d < info.rank; ++d)
      sum += strlen(info.dimensions[d].text);
  };
  for (size_t i = 0; !ds_model_input(model, i, &info); ++i)
    look();
  for (size_t i = 0; !ds_model_output(model, i, &info); ++i)
    look();
  for (size_t i = 0; i < ds_model_input_count(model); ++i)
    if (const size_t output = ds_model_donation(model, i);
        output != DS_NO_OUTPUT && !ds_model_output(model, output, &info))
      look();
  ds_symbol_info symbol;
  for (size_t i = 0; i < ds_model_symbol_count(model); ++i)
    if (!ds_model_symbol(model, i, &symbol))
      sum += strlen(symbol.name) + strlen(symbol.display);
  ds_model_summary summary;
  ds_model_describe(model, &summary);
  sum += strlen(summary.triple) + strlen(summary.cpu) + strlen(summary.cpus) + strlen(summary.compiler);
  for (size_t i = 0; const char *key = ds_model_property_key(model, i); ++i)
    sum += strlen(key) + strlen(ds_model_property(model, key));
  return sum;
}

/// Damage to code, weights, metadata, names and table of sections, and the file's header.
Outcome artifactCase(Random &random, const Bytes &good) {
  Bytes bytes = good;
  Elf64_Ehdr header;
  memcpy(&header, good.data(), sizeof header);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  memcpy(sections.data(), good.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  const Elf64_Shdr &names = sections[header.e_shstrndx];
  size_t metadata = 0, metadataSize = 0, behind = good.size();
  for (const Elf64_Shdr &section : sections) {
    const char *name = reinterpret_cast<const char *>(good.data()) + names.sh_offset + section.sh_name;
    if (!strcmp(name, DS_ARTIFACT_META_SECTION))
      metadata = section.sh_offset, metadataSize = section.sh_size;
    if (!strncmp(name, ".ds.", 4))
      behind = std::min(behind, size_t(section.sh_offset));
  }
  bool isForged = false;
  // The linked file ends before a gap of zeros, which nothing reads.
  size_t codeEnd = behind;
  while (codeEnd && !good[codeEnd - 1])
    --codeEnd;
  switch (random() % 6) {
  case 0:
    damage(random, bytes, behind, bytes.size());
    break;
  case 1:
    damage(random, bytes, 0, sizeof header);
    break;
  case 2:
    damage(random, bytes, 0, bytes.size());
    break;
  default:
    damage(random, bytes, metadata, metadata + metadataSize);
    isForged = random() % 2;
    // Each variant's begins where the one before ended.
    for (size_t at = metadata, end = metadata + metadataSize; isForged && at < end;) {
      ds_artifact_header sound, start;
      memcpy(&sound, &good[at], sizeof sound);
      memcpy(&start, &bytes[at], sizeof start);
      start.hash = 0;
      memcpy(&bytes[at], &start, sizeof start);
      if (start.length <= end - at)
        start.hash = ds_hash_bytes(&bytes[at], start.length);
      memcpy(&bytes[at], &start, sizeof start);
      at += sound.length;
    }
  }
  const std::string path = scratch + "/m.so";
  unlink(path.c_str()); // the old one may still be mapped
  writeFile(path, bytes);
  ds_model *model = nullptr;
  ds_error error = {};
  if (ds_status status = ds_model_load(path.c_str(), &model, &error))
    return refused(error, status);
  Outcome outcome;
  outcome.accepted = true;
  if (inspect(model) > bytes.size())
    outcome.fault = "names longer than the file";
  // Whose checksum was made right says what it likes of the code's buffers: nobody can tell. Others must be whole, but
  // for the place of the section table (which led to sound sections all the same).
  auto isWhole = [&](size_t first, size_t size) {
    return first + size <= bytes.size() && !memcmp(&bytes[first], &good[first], size);
  };
  if (!isForged && !isWhole(metadata, metadataSize))
    outcome.fault = "damaged metadata was accepted";
  if (!isWhole(0, 40) || !isWhole(sizeof header, codeEnd - sizeof header))
    outcome.fault = "damaged code was accepted";
  (void)ds_model_verify(model, &error);
  ds_model_release(model);
  return outcome;
}

/// Damage to the safetensors file beside a sound artifact.
Outcome weightsCase(Random &random, const Bytes &good, const std::string &artifact) {
  Bytes bytes = good;
  if (random() % 2)
    damage(random, bytes, 0, std::min<size_t>(bytes.size(), 4096));
  else
    damage(random, bytes, 0, bytes.size());
  const std::string path = scratch + "/m.so";
  if (access(path.c_str(), F_OK))
    writeFile(path, readFile(artifact));
  // The artifact asks for the name that it was compiled with.
  const std::string beside = scratch + artifact.substr(artifact.rfind('/')) + ".safetensors";
  unlink(beside.c_str());
  writeFile(beside, bytes);
  ds_model *model = nullptr;
  ds_error error = {};
  if (ds_status status = ds_model_load(path.c_str(), &model, &error))
    return refused(error, status);
  Outcome outcome;
  outcome.accepted = true;
  const ds_status status = ds_model_verify(model, &error);
  if ((bytes == good) != (status == DS_OK))
    outcome.fault = bytes == good ? "sound weights were refused" : "damaged weights were found sound";
  ds_model_release(model);
  return outcome;
}

size_t touch(const NpyArray &array) {
  size_t sum = array.Shape.size();
  for (size_t i = 0; i < array.Bytes; ++i)
    sum += (unsigned char)array.Data[i];
  if (array.Dtype == DS_STRING)
    for (size_t i = 0; i < array.Bytes / sizeof(ds_string); ++i) {
      const ds_string &text = reinterpret_cast<const ds_string *>(array.Data)[i];
      for (size_t j = 0; j <= text.size; ++j) // and the NUL
        sum += (unsigned char)text.data[j];
    }
  return sum;
}

ds_status visit(void *context, const char *name, NpyArray &array, ds_error *) {
  *static_cast<size_t *>(context) += touch(array) + strlen(name);
  return DS_OK;
}

Outcome arrayCase(Random &random, const Bytes &good, bool isArchive) {
  Bytes bytes = good;
  // Most of a file is numbers, which may be anything: the beginning and the end deserve more.
  const size_t edge = std::min<size_t>(bytes.size(), 256);
  switch (random() % 4) {
  case 0:
    damage(random, bytes, 0, bytes.size());
    break;
  case 1:
    damage(random, bytes, bytes.size() - edge, bytes.size());
    break;
  default:
    damage(random, bytes, 0, edge);
  }
  const std::string path = scratch + "/array";
  writeFile(path, bytes);
  ds_error error = {};
  size_t sum = 0;
  ds_status status;
  if (isArchive) {
    status = readNpz(path.c_str(), visit, &sum, &error);
  } else {
    NpyArray array;
    status = readNpy(path.c_str(), array, &error);
    if (!status)
      sum = touch(array);
  }
  if (status)
    return refused(error, status, /*mayBeFile=*/true);
  return {"", true};
}

struct Progress {
  uint64_t current, accepted, faults;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 7)
    return 2;
  const std::string kind = argv[1], file = argv[2], seed = argv[3];
  const uint64_t first = strtoull(argv[4], nullptr, 10), count = strtoull(argv[5], nullptr, 10);
  const unsigned seconds = unsigned(strtoul(argv[6], nullptr, 10));
  const Bytes good = readFile(kind == "weights" ? file + ".safetensors" : file);
  char folder[] = "./fuzz-XXXXXX";
  if (!mkdtemp(folder))
    return 2;
  scratch = folder;
  auto *progress = static_cast<Progress *>(
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  progress->current = first;
  while (progress->current < first + count) {
    const pid_t child = fork();
    if (child == 0) {
      for (; progress->current < first + count; ++progress->current) {
        Random random(std::hash<std::string>()(kind + " " + seed + " " + std::to_string(progress->current)));
        alarm(seconds);
        const Outcome outcome = kind == "artifact"  ? artifactCase(random, good)
                                : kind == "weights" ? weightsCase(random, good, file)
                                                    : arrayCase(random, good, kind == "npz");
        progress->accepted += outcome.accepted;
        if (!outcome.fault.empty()) {
          ++progress->faults;
          printf("FAULT %s %llu: %s\n", kind.c_str(), (unsigned long long)progress->current, outcome.fault.c_str());
          fflush(stdout);
        }
      }
      _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
    }
    if (status == 0)
      break;
    ++progress->faults;
    printf("FAULT %s %llu: %s %d\n", kind.c_str(), (unsigned long long)progress->current,
           WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "no end in time, signal" : "signal" : "exit code",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    fflush(stdout);
    ++progress->current;
  }
  printf("%llu %llu %llu\n", (unsigned long long)count, (unsigned long long)progress->accepted,
         (unsigned long long)progress->faults);
  const std::string remove = "rm -rf " + scratch;
  return system(remove.c_str()) || progress->faults ? 1 : 0;
}
