//===- Report.cpp - What a program prints ------------------------------------===//
// Assumes: a loaded model.
// Guarantees: --json is exactly one line.
// Declines: colours.
//===----------------------------------------------------------------------===//
#include "Program.h"
#include "Tensor.h"
#include <algorithm>
#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

namespace ds::runtime {

void appendType(Text &Out, const ds_tensor_info &Info) {
  Out.append("%s [", ds_dtype_name(Info.dtype));
  for (int32_t D = 0; D < Info.rank; ++D)
    Out.append("%s%s", D ? ", " : "", Info.dimensions[D].text);
  Out.append("]");
}

void printUsage(const Arguments &A, const ds_model *Model) {
  printf("usage: %s %s[flags]\n\n", A.Program, Model && !A.Model ? "" : "MODEL.so ");
  if (Model) {
    auto List = [&](const char *Title, size_t Count, auto Get) {
      printf("%s:\n", Title);
      for (size_t I = 0; I < Count; ++I) {
        ds_tensor_info Info;
        Text Line;
        Get(Model, I, &Info);
        appendType(Line, Info);
        if (ds_tensor Default; Get == ds_model_input && !ds_model_input_default(Model, I, &Default)) {
          Line.append(", optional (default: ");
          appendShape(Line, Default.shape, size_t(Default.rank));
          Line.append(")");
        }
        printf("  %-24s %s\n", Info.name, Line.str());
      }
    };
    List("inputs", ds_model_input_count(Model), ds_model_input);
    List("outputs", ds_model_output_count(Model), ds_model_output);
    if (ds_model_symbol_count(Model))
      printf("dynamic dimensions:\n");
    for (size_t I = 0; I < ds_model_symbol_count(Model); ++I) {
      ds_symbol_info Symbol;
      ds_tensor_info Input;
      ds_model_symbol(Model, I, &Symbol);
      if (Symbol.input < 0) {
        printf("  %-24s given by --symbol\n", Symbol.name);
        continue;
      }
      ds_model_input(Model, size_t(Symbol.input), &Input);
      printf("  %-24s dimension %d of input '%s'\n", Symbol.name, Symbol.dimension, Input.name);
    }
    printf("\n");
  }
  fputs("flags:\n"
        "  --input NAME=FILE.npy     an input; once for each\n"
        "  --inputs FILE.npz         inputs by the names of the arrays in the file\n"
        "  --random [N=1,S=128]      make up the inputs that are not given and not optional, with these sizes: floats\n"
        "                            in [0, 1), integers 0 or 1, the same each time\n"
        "  --seed N                  of the random numbers that the model draws (default: 0)\n"
        "  --symbol NAME=VALUE       a number that no input says; once for each\n"
        "  --output-dir DIR          write each output to DIR/NAME.npy instead of printing a summary\n"
        "  --threads N               threads to run on (default: all CPUs)\n"
        "  --benchmark=N             time N runs after some to warm up; --json for one line of JSON\n"
        "  --profile                 time of each kernel\n"
        "  --verify                  compare the weights with their checksum\n"
        "  --guard                   find accesses outside of buffers and after their time; slow\n"
        "  --version, --help\n",
        stdout);
}

void printVersion(const ds_model *Model) {
  printf("ds runtime %s\n", DS_RUNTIME_VERSION);
  if (!Model)
    return;
  ds_model_summary S;
  ds_model_describe(Model, &S);
  const bool IsChosen = strcmp(S.cpu, S.cpus) != 0;
  printf("model compiled by %s for %s, CPU %s%s%s%s; %llu kernels, %.1f MB of weights\n", S.compiler, S.triple, S.cpu,
         IsChosen ? " (of " : "", IsChosen ? S.cpus : "", IsChosen ? ")" : "",
         static_cast<unsigned long long>(S.kernel_count), double(S.weight_bytes) / 1e6);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// A float of 16 bits with that many of mantissa.
static double decodeHalf(uint16_t Bits, int MantissaBits) {
  const int ExponentBits = 15 - MantissaBits, Bias = (1 << (ExponentBits - 1)) - 1;
  const int Exponent = Bits >> MantissaBits & ((1 << ExponentBits) - 1), Fraction = Bits & ((1 << MantissaBits) - 1);
  double Value;
  if (Exponent == (1 << ExponentBits) - 1)
    Value = Fraction ? double(NAN) : double(INFINITY);
  else if (Exponent == 0)
    Value = ldexp(Fraction, 1 - Bias - MantissaBits);
  else
    Value = ldexp(Fraction + (1 << MantissaBits), Exponent - Bias - MantissaBits);
  return Bits >> 15 ? -Value : Value;
}

/// A float of 8 or 4 bits.
static double decodeSmall(uint8_t Bits, int32_t Dtype) {
  const bool Wide = Dtype == DS_FLOAT8E5M2 || Dtype == DS_FLOAT8E5M2FNUZ, Four = Dtype == DS_FLOAT4E2M1FN;
  const bool OneZero = Dtype == DS_FLOAT8E4M3FNUZ || Dtype == DS_FLOAT8E5M2FNUZ;
  const int MantissaBits = Four ? 1 : Wide ? 2 : 3, ExponentBits = Four ? 2 : 7 - MantissaBits;
  const int Bias = (1 << (ExponentBits - 1)) - (OneZero ? 0 : 1), Width = MantissaBits + ExponentBits;
  const int Magnitude = Bits & ((1 << Width) - 1), Exponent = Magnitude >> MantissaBits;
  if (OneZero && Bits == 0x80)
    return double(NAN);
  double Value;
  if (Dtype == DS_FLOAT8E5M2 && Magnitude >= 0x7c)
    Value = Magnitude == 0x7c ? double(INFINITY) : double(NAN);
  else if (Dtype == DS_FLOAT8E4M3FN && Magnitude == 0x7f)
    Value = double(NAN);
  else if (Exponent == 0)
    Value = ldexp(Magnitude, 1 - Bias - MantissaBits);
  else
    Value = ldexp((Magnitude & ((1 << MantissaBits) - 1)) + (1 << MantissaBits), Exponent - Bias - MantissaBits);
  return Bits >> Width & 1 ? -Value : Value;
}

template <typename T> static double load(const char *Data, int64_t I) {
  T Value;
  memcpy(&Value, Data + I * int64_t(sizeof Value), sizeof Value);
  return double(Value);
}

static double element(const ds_tensor &T, int64_t I) {
  const char *Data = static_cast<const char *>(T.data);
  switch (T.dtype) {
  case DS_BOOL:
  case DS_UINT8:
    return load<uint8_t>(Data, I);
  case DS_INT8:
    return load<int8_t>(Data, I);
  case DS_INT16:
    return load<int16_t>(Data, I);
  case DS_INT32:
    return load<int32_t>(Data, I);
  case DS_INT64:
    return load<int64_t>(Data, I);
  case DS_UINT16:
    return load<uint16_t>(Data, I);
  case DS_UINT32:
    return load<uint32_t>(Data, I);
  case DS_UINT64:
    return load<uint64_t>(Data, I);
  case DS_FLOAT32:
    return double(load<float>(Data, I));
  case DS_FLOAT64:
    return load<double>(Data, I);
  case DS_INT2:
    return int8_t(uint8_t(Data[I]) << 6) >> 6;
  case DS_UINT2:
    return Data[I] & 3;
  case DS_INT4:
    return int8_t(uint8_t(Data[I]) << 4) >> 4;
  case DS_UINT4:
    return Data[I] & 15;
  case DS_FLOAT4E2M1FN:
  case DS_FLOAT8E4M3FN:
  case DS_FLOAT8E4M3FNUZ:
  case DS_FLOAT8E5M2:
  case DS_FLOAT8E5M2FNUZ:
    return decodeSmall(uint8_t(Data[I]), T.dtype);
  default:
    break;
  }
  uint16_t Bits;
  memcpy(&Bits, Data + I * 2, 2);
  return decodeHalf(Bits, T.dtype == DS_FLOAT16 ? 10 : 7);
}

void printOutputs(const ds_session *Session, const ds_model *Model) {
  for (size_t I = 0; I < ds_model_output_count(Model); ++I) {
    ds_tensor T;
    ds_tensor_info Info;
    ds_model_output(Model, I, &Info);
    ds_session_output(Session, I, &T);
    Text Shape;
    appendShape(Shape, T.shape, size_t(T.rank));
    int64_t Count = 1;
    for (int32_t D = 0; D < T.rank; ++D)
      Count *= T.shape[D];
    printf("%s: %s %s", Info.name, ds_dtype_name(T.dtype), Shape.str());
    if (T.dtype == DS_STRING) {
      printf("  values");
      for (int64_t E = 0; E < Count && E < 6; ++E) {
        const ds_string &S = static_cast<const ds_string *>(T.data)[E];
        printf(" '%.*s'", int(S.size < 40 ? S.size : 40), S.data);
      }
      printf("%s", Count > 6 ? " ..." : "");
    } else if (Count) {
      double Min = INFINITY, Max = -INFINITY, Sum = 0;
      int64_t NotNumbers = 0;
      for (int64_t E = 0; E < Count; ++E) {
        const double Value = element(T, E);
        NotNumbers += Value != Value;
        Min = fmin(Min, Value);
        Max = fmax(Max, Value);
        Sum += Value;
      }
      printf("  min %.6g  max %.6g  mean %.6g", Min, Max, Sum / double(Count));
      if (NotNumbers)
        printf("  (%lld NaN)", static_cast<long long>(NotNumbers));
      printf("  values");
      for (int64_t E = 0; E < Count && E < 6; ++E)
        printf(" %.6g", element(T, E));
      printf("%s", Count > 6 ? " ..." : "");
    }
    printf("\n");
  }
}

void fillRandom(const ds_tensor &T, uint64_t Seed) {
  int64_t Count = 1;
  for (int32_t D = 0; D < T.rank; ++D)
    Count *= T.shape[D];
  uint64_t State = (Seed + 1) * 0x9E3779B97F4A7C15u;
  auto Next = [&State] { // splitmix64 (Steele, Lea and Flood 2014)
    uint64_t Z = State += 0x9E3779B97F4A7C15u;
    Z = (Z ^ Z >> 30) * 0xBF58476D1CE4E5B9u;
    Z = (Z ^ Z >> 27) * 0x94D049BB133111EBu;
    return Z ^ Z >> 31;
  };
  // K * 2^-(Bits + 1) as a float of 16 bits with Bits of mantissa, K < 2^(Bits + 1).
  auto Half = [](unsigned K, int Bits, int Bias) -> uint16_t {
    if (K == 0)
      return 0;
    const int E = 31 - __builtin_clz(K);
    return uint16_t((E - Bits - 1 + Bias) << Bits | ((K << (Bits - E)) & ((1u << Bits) - 1)));
  };
  const size_t Size = ds_dtype_size(T.dtype);
  char *Data = static_cast<char *>(T.data);
  static const ds_string Words[] = {{"alder", 5}, {"birch", 5}, {"cedar", 5}, {"elm", 3}, {"Oak", 3}, {"", 0}};
  for (int64_t I = 0; I < Count; ++I, Data += Size) {
    const uint64_t Bits = Next();
    const float F32 = float(Bits >> 40) * 0x1p-24f;
    const double F64 = double(Bits >> 11) * 0x1p-53;
    const uint64_t Integer = Bits >> 63; // little-endian: any width takes its low bytes
    const uint16_t F16 =
        T.dtype == DS_FLOAT16 ? Half(unsigned(Bits >> 53), 10, 15) : Half(unsigned(Bits >> 56), 7, 127);
    const void *Value = T.dtype == DS_STRING                              ? static_cast<const void *>(&Words[Bits % 6])
                        : T.dtype == DS_FLOAT32                           ? static_cast<const void *>(&F32)
                        : T.dtype == DS_FLOAT64                           ? static_cast<const void *>(&F64)
                        : T.dtype == DS_FLOAT16 || T.dtype == DS_BFLOAT16 ? static_cast<const void *>(&F16)
                                                                          : static_cast<const void *>(&Integer);
    memcpy(Data, Value, Size);
  }
}

//===----------------------------------------------------------------------===//
// Times
//===----------------------------------------------------------------------===//

double milliseconds() {
  timespec T;
  clock_gettime(CLOCK_MONOTONIC, &T);
  return double(T.tv_sec) * 1e3 + double(T.tv_nsec) * 1e-6;
}

/// Of this process since it began; getrusage would count what it was before exec.
static uint64_t peakMemory() {
  unsigned long long Kilobytes = 0;
  if (FILE *Status = fopen("/proc/self/status", "re")) {
    char Line[256];
    while (fgets(Line, sizeof Line, Status))
      if (sscanf(Line, "VmHWM: %llu kB", &Kilobytes) == 1)
        break;
    fclose(Status);
  }
  rusage Usage;
  if (!Kilobytes && !getrusage(RUSAGE_SELF, &Usage))
    Kilobytes = static_cast<unsigned long long>(Usage.ru_maxrss);
  return Kilobytes * 1024;
}

static ds_status warmUp(ds_session *Session, const InputSet &Inputs, ds_error *Error) {
  // Pages, caches, clock rates: at least 3 runs, and up to 50 within a quarter of a second.
  const double Start = milliseconds();
  for (int I = 0; I < 3 || (I < 50 && milliseconds() - Start < 250); ++I)
    if (ds_status Status = ds_session_run(Session, Inputs.tensors(), Inputs.size(), nullptr, 0, Error))
      return Status;
  return DS_OK;
}

ds_status benchmark(const Arguments &A, ds_session *Session, const InputSet &Inputs, ds_error *Error) {
  Array<double> Times;
  const size_t N = A.Benchmark;
  if (!Times.resize(N))
    return outOfMemory(Error);
  if (ds_status Status = warmUp(Session, Inputs, Error))
    return Status;
  for (double &Time : Times) {
    const double Start = milliseconds();
    if (ds_status Status = ds_session_run(Session, Inputs.tensors(), Inputs.size(), nullptr, 0, Error))
      return Status;
    Time = milliseconds() - Start;
  }
  std::sort(Times.begin(), Times.end());
  auto Percentile = [&](size_t P) { return Times[(N * P + 99) / 100 - 1]; }; // nearest rank
  const double Median = (Times[(N - 1) / 2] + Times[N / 2]) / 2;
  const unsigned long long Memory = peakMemory();
  if (A.Json)
    printf("{\"median_ms\":%.6f,\"p95_ms\":%.6f,\"p99_ms\":%.6f,\"min_ms\":%.6f,\"peak_rss_bytes\":%llu}\n", Median,
           Percentile(95), Percentile(99), Times[0], Memory);
  else
    printf("median %.4f ms  p95 %.4f ms  p99 %.4f ms  min %.4f ms  peak memory %.1f MB  (%zu runs, %u thread%s)\n",
           Median, Percentile(95), Percentile(99), Times[0], double(Memory) / 1e6, N, ds_session_threads(Session),
           ds_session_threads(Session) == 1 ? "" : "s");
  return DS_OK;
}

/// What is no terminal has lines that are never cut.
size_t terminalColumns() {
  winsize Size;
  return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &Size) ? Size.ws_col : 0;
}

/// "12.34 " thousand million a second, or a dash where nothing is counted.
static void appendRate(Text &Out, double Amount, double Seconds) {
  if (Amount > 0 && Seconds > 0)
    Out.append("%8.2f ", Amount * 1e-9 / Seconds);
  else
    Out.append("%8s ", "-");
}

void appendNodes(Text &Out, const char *Source) {
  for (const char *C = Source; *C; ++C) {
    const bool Begins = C == Source || (C - Source > 1 && C[-2] == ',' && C[-1] == ' ');
    if (Begins && !strncmp(C, "node '", 6))
      C += 5; // to the quote
    else if (*C != '\'' || strncmp(C + 1, " (", 2))
      Out.append("%c", *C);
  }
}

/// One line, its end left out where it has more than `Columns` characters (0: never).
static void printRow(const char *Row, size_t Columns) {
  size_t Characters = 0, Cut = 0;
  for (size_t I = 0; Row[I]; ++I)
    if ((static_cast<unsigned char>(Row[I]) & 0xC0) != 0x80 && ++Characters + 2 == Columns)
      Cut = I; // UTF-8 begins a character here
  if (Cut && Characters > Columns)
    printf("%.*s...\n", int(Cut), Row);
  else
    printf("%s\n", Row);
}

ds_status profile(const Arguments &A, ds_session *Session, const InputSet &Inputs, ds_error *Error) {
  const uint32_t Runs = A.Benchmark ? A.Benchmark : 10;
  ds_status Status = warmUp(Session, Inputs, Error);
  if (!Status)
    Status = ds_session_profile(Session, 1, Error);
  const double Start = milliseconds();
  for (uint32_t I = 0; I < Runs && !Status; ++I)
    Status = ds_session_run(Session, Inputs.tensors(), Inputs.size(), nullptr, 0, Error);
  const double Total = milliseconds() - Start;
  ds_session_profile(Session, 0, nullptr);
  if (Status)
    return Status;
  Array<ds_profile_entry> Entries;
  ds_profile_entry Entry;
  double InKernels = 0;
  for (size_t I = 0; !ds_session_profile_entry(Session, I, &Entry); ++I) {
    InKernels += Entry.seconds;
    if (!Entries.push(Entry))
      return outOfMemory(Error);
  }
  std::sort(Entries.begin(), Entries.end(),
            [](const ds_profile_entry &L, const ds_profile_entry &R) { return L.seconds > R.seconds; });
  size_t NameWidth = strlen("kernel");
  double Flops = 0, Bytes = 0;
  for (const ds_profile_entry &E : Entries) {
    NameWidth = std::max(NameWidth, strlen(E.kernel));
    Flops += E.flops;
    Bytes += E.bytes;
  }
  const int Width = int(std::min<size_t>(NameWidth, 48));
  const size_t Columns = terminalColumns();
  printf("%10s %6s %6s %8s %8s  %-*s  nodes\n", "ms/run", "%", "calls", "GFLOP/s", "GB/s", Width, "kernel");
  for (const ds_profile_entry &E : Entries) {
    if (!E.calls)
      continue;
    Text Row;
    Row.append("%10.4f %6.2f %6.4g ", E.seconds * 1e3 / Runs, InKernels > 0 ? E.seconds * 100 / InKernels : 0,
               double(E.calls) / Runs);
    appendRate(Row, E.flops, E.seconds);
    appendRate(Row, E.bytes, E.seconds);
    Row.append(" %-*s  ", Width, E.kernel);
    appendNodes(Row, E.source);
    if (!Row.ok())
      return outOfMemory(Error);
    printRow(Row.str(), Columns);
  }
  Text Sum;
  Sum.append("%10.4f %6.2f %6s ", InKernels * 1e3 / Runs, InKernels > 0 ? 100.0 : 0, "");
  appendRate(Sum, Flops, InKernels);
  appendRate(Sum, Bytes, InKernels);
  Sum.append(" all kernels");
  printf("%s\n%10.4f ms/run in all (%u runs, %u thread%s)\n", Sum.str(), Total / Runs, Runs,
         ds_session_threads(Session), ds_session_threads(Session) == 1 ? "" : "s");
  return DS_OK;
}

} // namespace ds::runtime
