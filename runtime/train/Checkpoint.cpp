//===- Checkpoint.cpp - The state of a training run, in files --------------===//
// Guarantees: see Checkpoint.h.
//===----------------------------------------------------------------------===//
#include "Checkpoint.h"
#include "../src/Flags.h"
#include "../src/Program.h"
#include "../src/Session.h"
#include "../src/Tensor.h"
#include "AtomicFile.h"
#include "ds_hash.h"
#include <algorithm>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ds::runtime {

static constexpr char Format[] = "ds-checkpoint", FormatVersion[] = "1", NoHash[] = "0000000000000000";
static constexpr size_t HashDigits = sizeof NoHash - 1;
// Steps and samples that no run reaches: numbers of a checkpoint can be added without a check.
static constexpr int64_t MostSteps = int64_t(1) << 56;

static void formatHash(uint64_t Hash, char (&Digits)[HashDigits + 1]) {
  snprintf(Digits, sizeof Digits, "%016llx", static_cast<unsigned long long>(Hash));
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

ds_status Checkpoint::open(const char *Path, ds_error *Error) {
  Name.clear();
  Name.append("%s", Path);
  if (ds_status Status = Bytes.open(Path, "a checkpoint", Error))
    return Status;
  auto Refuse = [&](const char *Why) { return fail(Error, DS_BAD_INPUT, "checkpoint '%s': %s", Path, Why); };
  if (const char *Problem = File.read(Bytes.data(), Bytes.size()))
    return Refuse(Problem);
  const char *Is = File.metadata("format"), *Version = File.metadata("format_version"), *Hash = File.metadata("hash");
  if (!Is || strcmp(Is, Format))
    return Refuse("no training program wrote it (its metadata has no format 'ds-checkpoint')");
  if (!Version || strcmp(Version, FormatVersion))
    return fail(Error, DS_BAD_INPUT, "checkpoint '%s' has format version %s, this program reads version %s", Path,
                Version ? Version : "(none)", FormatVersion);
  const size_t Place = File.placeOf("hash");
  char Digits[HashDigits + 1];
  if (!Hash || strlen(Hash) != HashDigits || Place + HashDigits > Bytes.size() ||
      memcmp(Bytes.data() + Place, Hash, HashDigits))
    return Refuse("it is damaged (it has no proper checksum)");
  ds_hash Computed;
  ds_hash_start(&Computed);
  ds_hash_add(&Computed, Bytes.data(), Place);
  ds_hash_add(&Computed, NoHash, HashDigits);
  ds_hash_add(&Computed, Bytes.data() + Place + HashDigits, Bytes.size() - Place - HashDigits);
  formatHash(ds_hash_finish(&Computed), Digits);
  if (memcmp(Digits, Hash, HashDigits))
    return Refuse("it is damaged (its checksum does not match)");
  struct {
    const char *Key;
    uint64_t *Out;
  } const Numbers[] = {
      {"step", &At.Steps}, {"epoch", &At.Epoch}, {"sample", &At.Sample}, {"samples", &At.Samples}, {"seed", &At.Seed}};
  for (const auto &N : Numbers) {
    int64_t Value;
    const char *Text = File.metadata(N.Key);
    if (!Text || !parseNumber(Text, MostSteps, Value))
      return fail(Error, DS_BAD_INPUT, "checkpoint '%s' does not say its %s", Path, N.Key);
    *N.Out = uint64_t(Value);
  }
  if (At.Sample > At.Samples)
    return Refuse("it says that it is past the last sample");
  return DS_OK;
}

void Checkpoint::describe(Text &Out, const Safetensors::Tensor &T) const {
  Out.append("%s ", ds_dtype_name(T.Dtype));
  appendShape(Out, File.shape(T), T.Rank);
}

ds_status Checkpoint::load(const TrainStep &Step, ds_session *Session, ds_error *Error) const {
  Text Lacks, Differs, Extra;
  size_t LackCount = 0, DifferCount = 0, ExtraCount = 0;
  Array<uint32_t> Of; // tensor + 1 of each state
  Array<unsigned char> Used;
  if (!Of.resize(Step.States.size()) || !Used.resize(File.size()))
    return outOfMemory(Error);
  for (size_t I = 0, Next = 0; I < Step.States.size(); ++I) {
    const ds_tensor_info Info = Step.input(Step.States[I]);
    // In the same order, mostly.
    size_t Found = File.size();
    for (size_t Tries = 0; Tries < File.size() && Found == File.size(); ++Tries, Next = (Next + 1) % File.size())
      if (!Used[Next] && !strcmp(File.name(File[Next]), Info.name))
        Found = Next;
    Text Type;
    appendType(Type, Info);
    if (Found == File.size()) {
      if (!LackCount++)
        Lacks.append("'%s' (%s)", Info.name, Type.str());
      continue;
    }
    const Safetensors::Tensor &T = File[Found];
    Used[Found] = 1;
    bool Same = !strcmp(safetensorsName(T.Dtype), safetensorsName(Info.dtype)) && int32_t(T.Rank) == Info.rank;
    for (int32_t D = 0; Same && D < Info.rank; ++D)
      Same = Info.dimensions[D].size == File.shape(T)[D];
    if (!Same && !DifferCount++) {
      Differs.append("'%s' is ", Info.name);
      describe(Differs, T);
      Differs.append(" there and %s here", Type.str());
    }
    Of[I] = uint32_t(Found + 1);
  }
  for (size_t I = 0; I < File.size(); ++I)
    if (!Used[I] && !ExtraCount++)
      Extra.append("'%s'", File.name(File[I]));
  if (LackCount || DifferCount || ExtraCount) {
    Text Line;
    auto Add = [&](const char *What, const Text &First, size_t Count) {
      if (!Count)
        return;
      Line.append("%s%s%s", Line.empty() ? "" : "; ", What, First.str());
      if (Count > 1)
        Line.append(", and so for %zu more", Count - 1);
    };
    Add("", Differs, DifferCount);
    Add("it lacks ", Lacks, LackCount);
    Add("the model lacks ", Extra, ExtraCount);
    const char *Optimizer = File.metadata("optimizer");
    if (Optimizer && strcmp(Optimizer, Step.Optimizer))
      Line.append("; its optimizer is '%s', here it is '%s'", Optimizer, Step.Optimizer);
    return fail(Error, DS_BAD_INPUT, "checkpoint '%s' is of another model: %s", Name.str(), Line.str());
  }
  for (size_t I = 0; I < Step.States.size(); ++I) {
    const Safetensors::Tensor &T = File[Of[I] - 1];
    const ds_tensor Value = {const_cast<unsigned char *>(T.Data), Step.input(Step.States[I]).dtype, int32_t(T.Rank),
                             File.shape(T), nullptr};
    if (ds_status Status = ds_session_state_set(Session, Step.States[I], &Value, Error))
      return Status;
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

static void appendPath(Text &Out, const char *Folder, uint64_t Step) {
  Out.append("%s/checkpoint-%09llu.safetensors", Folder, static_cast<unsigned long long>(Step));
}

/// The steps of the checkpoints in a folder, the newest first.
static ds_status listCheckpoints(const char *Folder, Array<uint64_t> &Steps, ds_error *Error) {
  static constexpr char Prefix[] = "checkpoint-", Suffix[] = ".safetensors";
  DIR *Opened = opendir(Folder);
  if (!Opened)
    return fail(Error, DS_IO_ERROR, "cannot open the folder '%s': %s", Folder, strerror(errno));
  bool Good = true;
  while (const dirent *Entry = readdir(Opened)) {
    const char *Name = Entry->d_name;
    const size_t Length = strlen(Name);
    if (strncmp(Name, Prefix, sizeof Prefix - 1) || Length < sizeof Prefix + sizeof Suffix - 1 ||
        strcmp(Name + Length - (sizeof Suffix - 1), Suffix))
      continue;
    Text Digits, Path, Own;
    int64_t Step;
    Digits.append("%.*s", int(Length - (sizeof Prefix - 1) - (sizeof Suffix - 1)), Name + sizeof Prefix - 1);
    if (!parseNumber(Digits.str(), MostSteps, Step))
      continue;
    Path.append("%s/%s", Folder, Name);
    appendPath(Own, Folder, uint64_t(Step));
    if (!strcmp(Path.str(), Own.str()))
      Good = Good && Steps.push(uint64_t(Step));
  }
  closedir(Opened);
  std::sort(Steps.begin(), Steps.end(), [](uint64_t A, uint64_t B) { return A > B; });
  return Good ? DS_OK : outOfMemory(Error);
}

ds_status findCheckpoint(const char *Path, Checkpoint &Out, void (*Warn)(const char *), ds_error *Error) {
  struct stat Info;
  if (stat(Path, &Info))
    return fail(Error, DS_IO_ERROR, "--resume: cannot open '%s': %s", Path, strerror(errno));
  if (!S_ISDIR(Info.st_mode))
    return Out.open(Path, Error);
  Array<uint64_t> Steps;
  if (ds_status Status = listCheckpoints(Path, Steps, Error))
    return Status;
  ds_error Problem = {};
  for (uint64_t Step : Steps) {
    Text Name;
    appendPath(Name, Path, Step);
    if (!Out.open(Name.str(), &Problem))
      return DS_OK;
    Warn(Problem.message);
  }
  if (Steps.empty())
    return fail(Error, DS_BAD_INPUT, "--resume: the folder '%s' has no checkpoint; leave --resume out to begin anew",
                Path);
  return fail(Error, DS_BAD_INPUT, "--resume: none of the checkpoints in '%s' is whole", Path);
}

ds_status CheckpointFolder::open(const char *Given, uint64_t From, ds_error *Error) {
  Path = Given;
  if (ds_status Status = makeFolder(Path, Error))
    return Status;
  Lock.reset(::open(Path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!Lock.isOpen() || access(Path, W_OK))
    return fail(Error, DS_IO_ERROR, "--checkpoint-dir: cannot write to '%s': %s", Path, strerror(errno));
  // File systems without locks have no protection from a second run.
  if (flock(Lock.get(), LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
    return fail(Error, DS_IO_ERROR, "--checkpoint-dir: another run writes its checkpoints to '%s'", Path);
  Array<uint64_t> Steps;
  if (ds_status Status = listCheckpoints(Path, Steps, Error))
    return Status;
  for (uint64_t Step : Steps) {
    Text Name;
    Checkpoint Later;
    appendPath(Name, Path, Step);
    if (Step <= From && From)
      break;
    if (Later.open(Name.str(), nullptr))
      continue; // not whole: it may be overwritten
    if (!From)
      return fail(Error, DS_BAD_INPUT,
                  "--checkpoint-dir: '%s' has checkpoints of a run already, up to step %llu; continue it with --resume "
                  "%s, or give another folder",
                  Path, static_cast<unsigned long long>(Step), Path);
    return fail(
        Error, DS_BAD_INPUT,
        "--checkpoint-dir: '%s' has a checkpoint of step %llu, later than the one to resume from, of step %llu; "
        "remove it, or give another folder",
        Path, static_cast<unsigned long long>(Step), static_cast<unsigned long long>(From));
  }
  return DS_OK;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static size_t elements(const ds_tensor &T) {
  size_t Count = 1;
  for (int32_t D = 0; D < T.rank; ++D)
    Count *= size_t(T.shape[D]);
  return Count;
}

ds_status checkStates(const TrainStep &Step, const ds_session *Session, uint64_t StepNumber, ds_error *Error) {
  for (size_t I : Step.States) {
    ds_tensor T;
    if (ds_status Status = ds_session_state_get(Session, I, &T, Error))
      return Status;
    const char Role = Step.InputRoles[I];
    const size_t Count = elements(T), Bad = findNotFinite(T.data, T.dtype, Count, Role == 'p');
    if (Bad < Count)
      return fail(Error, DS_BAD_INPUT,
                  "step %llu left %s '%s' with a value that is no finite number (element %zu); try a smaller learning "
                  "rate (--lr), or clip gradients",
                  static_cast<unsigned long long>(StepNumber),
                  Role == 'p'   ? "the parameter"
                  : Role == 'o' ? "the optimizer's state"
                  : Role == 'f' ? "the loss scale's state"
                                : "the model's state",
                  Step.inputName(I), Bad);
  }
  return DS_OK;
}

static void describeStates(Text &Header, const TrainStep &Step, const Array<ds_tensor> &Tensors,
                           const Array<size_t> &Order, const Progress &At) {
  Header.append("{\"__metadata__\":{\"format\":\"%s\",\"format_version\":\"%s\",\"hash\":\"%s\"", Format, FormatVersion,
                NoHash);
  Header.append(",\"step\":\"%llu\",\"epoch\":\"%llu\",\"sample\":\"%llu\",\"samples\":\"%llu\",\"seed\":\"%llu\"",
                static_cast<unsigned long long>(At.Steps), static_cast<unsigned long long>(At.Epoch),
                static_cast<unsigned long long>(At.Sample), static_cast<unsigned long long>(At.Samples),
                static_cast<unsigned long long>(At.Seed));
  Header.append(",\"loss\":");
  appendJson(Header, Step.LossName);
  Header.append(",\"optimizer\":");
  appendJson(Header, Step.Optimizer);
  Header.append("}");
  uint64_t Place = 0;
  for (size_t I : Order) {
    const ds_tensor &T = Tensors[I];
    const uint64_t End = Place + elements(T) * ds_dtype_size(T.dtype);
    Header.append(",");
    appendJson(Header, Step.inputName(Step.States[I]));
    Header.append(":{\"dtype\":\"%s\",\"shape\":[", safetensorsName(T.dtype));
    for (int32_t D = 0; D < T.rank; ++D)
      Header.append("%s%lld", D ? "," : "", static_cast<long long>(T.shape[D]));
    Header.append("],\"data_offsets\":[%llu,%llu]}", static_cast<unsigned long long>(Place),
                  static_cast<unsigned long long>(End));
    Place = End;
  }
  Header.append("}");
  // The data begins at a multiple of 64.
  Header.append("%*s", int((64 - (8 + Header.size()) % 64) % 64), "");
}

ds_status CheckpointFolder::save(const TrainStep &Step, const ds_session *Session, const Progress &At,
                                 ds_error *Error) {
  if (ds_status Status = checkStates(Step, Session, At.Steps, Error))
    return Status;
  Array<ds_tensor> Tensors;
  Array<size_t> Order; // larger elements first: then each lies at a multiple of its size
  if (!Tensors.resize(Step.States.size()) || !Order.resize(Tensors.size()))
    return outOfMemory(Error);
  size_t Next = 0;
  for (size_t I = 0; I < Tensors.size(); ++I)
    if (ds_status Status = ds_session_state_get(Session, Step.States[I], &Tensors[I], Error))
      return Status;
  for (size_t Size = 8; Size; Size /= 2)
    for (size_t I = 0; I < Tensors.size(); ++I)
      if (ds_dtype_size(Tensors[I].dtype) == Size)
        Order[Next++] = I;
  Text Header, Name, Draft;
  describeStates(Header, Step, Tensors, Order, At);
  appendPath(Name, Path, At.Steps);
  Draft.append("%s/checkpoint.tmp", Path);
  if (!Header.ok() || !Name.ok() || !Draft.ok())
    return outOfMemory(Error);
  const uint64_t Length = Header.size();
  ds_hash Hash;
  char Digits[HashDigits + 1];
  ds_hash_start(&Hash);
  ds_hash_add(&Hash, &Length, sizeof Length);
  ds_hash_add(&Hash, Header.str(), Header.size());
  for (size_t I : Order)
    ds_hash_add(&Hash, Tensors[I].data, elements(Tensors[I]) * ds_dtype_size(Tensors[I].dtype));
  formatHash(ds_hash_finish(&Hash), Digits);
  memcpy(const_cast<char *>(strstr(Header.str(), NoHash)), Digits, HashDigits);

  AtomicFile Out;
  bool Good = Out.create(Name.str(), Draft.str()) && Out.write(&Length, sizeof Length) &&
              Out.write(Header.str(), Header.size());
  for (size_t I : Order)
    Good = Good && Out.write(Tensors[I].data, elements(Tensors[I]) * ds_dtype_size(Tensors[I].dtype));
  if (!Good || !Out.commit())
    return fail(Error, DS_IO_ERROR, "cannot write the checkpoint '%s': %s", Name.str(), strerror(errno));
  Last.clear();
  Last.append("%s", Name.str());
  Array<uint64_t> Steps;
  if (ds_status Status = listCheckpoints(Path, Steps, Error))
    return Status;
  size_t Kept = 0;
  for (uint64_t S : Steps) {
    Text Old;
    appendPath(Old, Path, S);
    if (S <= At.Steps && ++Kept > 2)
      unlink(Old.str());
  }
  return DS_OK;
}

} // namespace ds::runtime
