//===- Options.cpp - The command line of programs that train ---------------===//
// Guarantees: see Options.h.
//===----------------------------------------------------------------------===//
#include "Options.h"
#include "../src/Flags.h"
#include "../src/Program.h"
#include "Initialize.h"
#include <stdio.h>

namespace ds::runtime {

ds_status TrainOptions::parse(int Argc, char **Argv, ds_error *Error) {
  Program = programName(Argc, Argv);
  struct {
    const char *Name;
    bool *Is;
  } const Switches[] = {{"--no-shuffle", &NoShuffle}, {"--check-nan", &CheckNan}, {"--list-parameters", &Parameters},
                        {"--version", &Version},      {"--help", &Help},          {"-h", &Help}};
  struct {
    const char *Name;
    int64_t *Out;
    int64_t Min, Max;
  } const Numbers[] = {{"--epochs", &Epochs, 1, 1000000000},
                       {"--steps", &Steps, 1, int64_t(1) << 48},
                       {"--batch-size", &BatchSize, 1, 1 << 30},
                       {"--checkpoint-every", &CheckpointEvery, 1, int64_t(1) << 48},
                       {"--eval-every", &EvalEvery, 1, int64_t(1) << 48},
                       {"--sequence-length", &SequenceLength, 1, 1 << 30},
                       {"--threads", &Threads, 1, 1024},
                       {"--accumulate", &Accumulate, 1, 1 << 14},
                       {"--initialize", &Initialize, 0, int64_t(1) << 53},
                       {"--seed", &Seed, 0, int64_t(1) << 53}};
  struct {
    const char *Name;
    const char **Out;
  } const Texts[] = {{"--data", &Data},
                     {"--eval-data", &EvalData},
                     {"--tokens", &Tokens},
                     {"--eval-tokens", &EvalTokens},
                     {"--checkpoint-dir", &CheckpointDir},
                     {"--resume", &Resume},
                     {"--export", &Export},
                     {"--dump-gradients", &Gradients},
                     {"--report", &Report}};
  bool HasType = false;
  for (ArgumentReader R(Argc, Argv); R.next();) {
    bool Known = false;
    auto Twice = [&] { return fail(Error, DS_BAD_ARGUMENT, "%s is given twice", R.name()); };
    if (!R.isFlag())
      return fail(Error, DS_BAD_ARGUMENT, "unexpected argument '%s'", R.name());
    for (const auto &S : Switches)
      if (R.is(S.Name)) {
        if (R.inlineValue())
          return fail(Error, DS_BAD_ARGUMENT, "%s takes no value", S.Name);
        Known = *S.Is = true;
      }
    for (const auto &N : Numbers)
      if (R.is(N.Name)) {
        const int64_t Before = *N.Out;
        const char *Value = R.value();
        if (!Value || !parseNumber(Value, N.Max, *N.Out) || *N.Out < N.Min)
          return fail(Error, DS_BAD_ARGUMENT, "%s needs a number from %lld to %lld%s%s%s", N.Name,
                      static_cast<long long>(N.Min), static_cast<long long>(N.Max), Value ? ", not '" : "",
                      Value ? Value : "", Value ? "'" : "");
        if (Before >= N.Min)
          return Twice();
        Known = true;
      }
    for (const auto &T : Texts)
      if (R.is(T.Name)) {
        if (*T.Out)
          return Twice();
        if (!(*T.Out = R.value()) || !**T.Out)
          return fail(Error, DS_BAD_ARGUMENT, "%s needs a value", T.Name);
        Known = true;
      }
    if (R.is("--lr")) {
      const char *Value = R.value();
      if (!Value || !parseDecimal(Value, Rate) || Rate < 0)
        return fail(Error, DS_BAD_ARGUMENT, "--lr needs a learning rate, like 0.001%s%s%s", Value ? ", not '" : "",
                    Value ? Value : "", Value ? "'" : "");
      if (HasRate)
        return Twice();
      HasRate = Known = true;
    }
    if (R.is("--token-type")) {
      const char *Value = R.value();
      int32_t Type = 0;
      const int32_t Types[] = {DS_UINT8, DS_UINT16, DS_INT32};
      for (int32_t T : Types)
        if (Value && !strcmp(Value, ds_dtype_name(T)))
          Type = T;
      if (!Type)
        return fail(Error, DS_BAD_ARGUMENT, "--token-type needs uint8, uint16 or int32%s%s%s", Value ? ", not '" : "",
                    Value ? Value : "", Value ? "'" : "");
      if (HasType)
        return Twice();
      TokenType = Type;
      HasType = Known = true;
    }
    if (!Known) {
      NearestFlag Nearest(R.name());
      for (const auto &S : Switches)
        if (S.Name[1] == '-')
          Nearest.consider(S.Name);
      for (const auto &N : Numbers)
        Nearest.consider(N.Name);
      for (const auto &T : Texts)
        Nearest.consider(T.Name);
      Nearest.consider("--lr");
      Nearest.consider("--token-type");
      return Nearest.fail(Error);
    }
  }
  if (Help || Version || Parameters)
    return DS_OK;
  if (HasType && !Tokens && !EvalTokens)
    return fail(Error, DS_BAD_ARGUMENT, "--token-type goes with --tokens");
  return check(Error);
}

ds_status TrainOptions::check(ds_error *Error) const {
  auto Bad = [&](const char *What) { return fail(Error, DS_BAD_ARGUMENT, "%s", What); };
  if (Data && Tokens)
    return Bad("the data are --data or --tokens, not both");
  if (EvalData && EvalTokens)
    return Bad("the data to evaluate on are --eval-data or --eval-tokens, not both");
  if ((Tokens || EvalTokens) && !SequenceLength)
    return Bad("--tokens needs --sequence-length, the number of tokens in a sample");
  if (SequenceLength && !Tokens && !EvalTokens)
    return Bad("--sequence-length goes with --tokens");
  if (EvalEvery && !evaluates())
    return Bad("--eval-every goes with --eval-data");
  if (CheckpointEvery && !CheckpointDir)
    return Bad("--checkpoint-every goes with --checkpoint-dir");
  if (Resume && Initialize >= 0)
    return Bad("--initialize draws the parameters that training begins with; --resume goes on with those of a "
               "checkpoint: give one of them");
  if (trains() && Accumulate > 1 && Gradients)
    return Bad("--dump-gradients writes those of one batch: leave --accumulate out, with a larger --batch-size");
  if (trains())
    return DS_OK;
  // What a checkpoint is good for without more training.
  if (!Resume && !evaluates())
    return Bad("no data given: --data FILE.npz, with an array for each input (see --help), or --tokens FILE");
  if (!evaluates() && !Export)
    return Bad("--resume alone does nothing: give --data to train on, --eval-data to evaluate, or --export");
  const struct {
    const char *Name;
    bool IsGiven;
  } Others[] = {{"--epochs", Epochs != 0},
                {"--steps", Steps != 0},
                {"--accumulate", Accumulate != 0},
                {"--initialize", Initialize >= 0},
                {"--checkpoint-dir", CheckpointDir != nullptr},
                {"--dump-gradients", Gradients != nullptr},
                {"--report", Report != nullptr}};
  for (const auto &Other : Others)
    if (Other.IsGiven)
      return fail(Error, DS_BAD_ARGUMENT, "%s goes with --data or --tokens", Other.Name);
  return DS_OK;
}

void printTrainUsage(const TrainOptions &O, const TrainStep &Step) {
  printf("usage: %s --data FILE.npz [flags]\n\ntrains a model: loss %s, optimizer %s\n\narrays of the data:\n",
         O.Program, Step.LossName, Step.Optimizer);
  for (size_t I = 0; I < Step.Data.size(); ++I) {
    const ds_tensor_info Info = Step.input(Step.Data[I]);
    Text Line;
    appendType(Line, Info);
    if (ds_model_input_is_optional(Step.Model, Step.Data[I]))
      Line.append(", optional");
    if (!Step.IsSampled[I])
      Line.append(", the same for all samples");
    printf("  %-24s %s\n", Info.name, Line.str());
  }
  uint64_t Parameters = 0, Bytes = 0;
  for (size_t I : Step.States) {
    const ds_tensor_info Info = Step.input(I);
    uint64_t Count = 1;
    for (int32_t D = 0; D < Info.rank; ++D)
      Count *= uint64_t(Info.dimensions[D].size);
    Parameters += Step.InputRoles[I] == 'p' ? Count : 0;
    Bytes += Count * ds_dtype_size(Info.dtype);
  }
  Text Rate;
  appendNumber(Rate, Step.BaseRate, false);
  printf("%llu parameters; %.1f MB with the state of the optimizer\n\n", static_cast<unsigned long long>(Parameters),
         double(Bytes) / 1e6);
  fputs(
      "data:\n"
      "  --data FILE.npz|DIR       an array for each of the above, samples first; or a folder with NAME.npy for each.\n"
      "                            They are mapped where they are not compressed\n"
      "  --tokens FILE             instead: tokens without a header, cut in sequences; the target is a token later\n"
      "  --sequence-length N       tokens of a sequence\n"
      "  --token-type TYPE         uint8, uint16 (default) or int32\n"
      "  --batch-size N            samples that are computed at a time (default: 32, or what the model was compiled "
      "for)\n"
      "  --no-shuffle              keep the order of the samples\n"
      "  --seed N                  of the order, and of random numbers in the model (default: 0)\n"
      "training:\n"
      "  --accumulate N            N batches make a step: as one of N times the size, in the memory of one\n"
      "  --initialize SEED         begin with parameters drawn anew, by the rules that --list-parameters shows\n"
      "  --epochs N                how often to go through the data (default: 1)\n"
      "  --steps N                 end after step N, counted from the first one of all\n"
      "  --lr X                    learning rate, before the schedule",
      stdout);
  printf(" (default: %s)\n", Rate.str());
  fputs("  --threads N               threads to run on (default: all CPUs); the result does not depend on it\n"
        "  --check-nan               look at all that is computed, and name the node where NaN begins; slower\n"
        "  --dump-gradients FILE.npz write the gradients of the first step\n"
        "evaluation:\n"
        "  --eval-data FILE.npz|DIR  evaluate on these data after each epoch and at the end\n"
        "  --eval-tokens FILE        the same of tokens\n"
        "  --eval-every N            after every N steps, too\n"
        "results:\n"
        "  --checkpoint-dir DIR      write the state there after each epoch, at the end, and when the program is told "
        "to\n"
        "                            stop (SIGTERM, SIGINT); the last two are kept\n"
        "  --checkpoint-every N      after every N steps, too\n"
        "  --resume DIR|FILE         go on from the newest checkpoint of the folder, or from the file\n"
        "  --export FILE.onnx        at the end, write the model with its parameters\n"
        "  --report FILE.html        at the end, write a page of the run\n"
        "  --list-parameters, --version, --help\n"
        "Without --data, --resume with --eval-data or --export evaluates or exports a checkpoint.\n",
        stdout);
}

void printParameters(const TrainStep &Step) {
  for (size_t I : Step.States) {
    Text Line;
    DrawRule Rule;
    if (Step.InputRoles[I] == 'o' || Step.InputRoles[I] == 'f')
      continue;
    appendType(Line, Step.input(I));
    Line.append("%s; --initialize: ", Step.InputRoles[I] == 'p' ? "" : ", state");
    if (findRule(Step, I, Rule))
      Rule.append(Line);
    else
      Line.append("not known");
    printf("%-40s %s\n", Step.inputName(I), Line.str());
  }
}

} // namespace ds::runtime
