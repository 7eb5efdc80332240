//===- ProgramTest.cpp - Command lines of programs and ds-run ----------------===//
#include "Npy.h"
#include "Tiny.h"
#include <cstring>
#include <sys/wait.h>

using namespace ds::artifact;
using namespace ds::test;

namespace {

struct Result {
  int code = -1;
  std::string out, err;
};

class ProgramTest : public testing::Test {
protected:
  static void SetUpTestSuite() {
    models = new TestFolder;
    linkTiny(models->file("tiny"), EmitKind::Executable);
    linkTiny(models->file("tiny.so"), EmitKind::SharedLibrary);
  }
  static void TearDownTestSuite() { delete models; }

  void SetUp() override {
    const float a[8] = {1, 1, 1, 1, 2, 2, 2, 2}, b[2] = {0.5, 0.25};
    const int64_t pick = 3;
    write("a.npy", a, DS_FLOAT32, {2, 4});
    write("b.npy", b, DS_FLOAT32, {2});
    write("pick.npy", &pick, DS_INT64, {});
  }

  void write(const std::string &name, const void *data, int32_t dtype, std::vector<int64_t> shape) {
    ds_error error = {};
    ds_tensor tensor = {const_cast<void *>(data), dtype, int32_t(shape.size()), shape.data(), nullptr};
    ASSERT_EQ(ds::runtime::writeNpy(folder.file(name).c_str(), tensor, &error), DS_OK) << error.message;
  }

  /// Runs in the test's folder.
  Result command(const std::string &line) {
    Result result;
    const std::string shell = "cd '" + folder.file("") + "' && ( " + line + " ) >'" + folder.file(".out") + "' 2>'" +
                              folder.file(".err") + "' </dev/null";
    const int status = system(shell.c_str());
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result.out = readFile(folder.file(".out"));
    result.err = readFile(folder.file(".err"));
    return result;
  }
  Result tiny(const std::string &arguments) { return command(models->file("tiny") + " " + arguments); }
  Result dsRun(const std::string &arguments) {
    return command(std::string(DS_RUN) + " " + models->file("tiny.so") + " " + arguments);
  }
  std::vector<float> floats(const std::string &name) {
    ds::runtime::NpyArray array;
    ds_error error = {};
    EXPECT_EQ(readNpy(folder.file(name).c_str(), array, &error), DS_OK) << error.message;
    std::vector<float> result(array.Bytes / 4);
    memcpy(result.data(), array.Data, array.Bytes);
    return result;
  }
  void expectError(const Result &result, int code, const std::string &part) {
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }

  static TestFolder *models;
  TestFolder folder;
};

TestFolder *ProgramTest::models;

const std::string given = "--input a=a.npy --input b=b.npy --input pick=pick.npy ";

} // namespace

TEST_F(ProgramTest, WritesOutputs) {
  for (int library : {0, 1}) {
    const std::string arguments = given + "--output-dir=o/p --threads 2";
    const Result result = library ? dsRun(arguments) : tiny(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out + result.err, "");
    EXPECT_EQ(floats("o/p/sum.npy"), (std::vector<float>{1111.5, 2222.25}));
    EXPECT_EQ(floats("o/p/row.npy"), (std::vector<float>{0, 1000, 2000, 3000, 4000}));
    EXPECT_EQ(command("ls o/p | wc -l").out, "2\n");
  }
}

TEST_F(ProgramTest, PrintsASummary) {
  const Result result = tiny(given);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "sum: float32 [2]  min 1111.5  max 2222.25  mean 1666.88  values 1111.5 2222.25\n"
                        "row: float32 [5]  min 0  max 4000  mean 2000  values 0 1000 2000 3000 4000\n");
}

TEST_F(ProgramTest, HelpListsInputsOutputsAndSymbols) {
  for (const Result &result : {tiny("--help"), dsRun("--help")}) {
    EXPECT_EQ(result.code, 0);
    for (const char *part : {"float32 [N, 4]", "int64 []", "float32 [2*N+1]", "dimension 0 of input 'a'", "--random"})
      EXPECT_NE(result.out.find(part), std::string::npos) << result.out;
  }
  EXPECT_EQ(command(std::string(DS_RUN) + " --help").code, 0);
  EXPECT_NE(tiny("--version").out.find("compiled by hand"), std::string::npos);
}

TEST_F(ProgramTest, MakesInputsUp) {
  const Result first = tiny("--random N=3"), second = tiny("--random=N=3 --threads=1");
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, second.out);
  EXPECT_NE(first.out.find("sum: float32 [3]"), std::string::npos);
  // Sizes come from files too.
  EXPECT_NE(tiny("--random --input a=a.npy").out.find("sum: float32 [2]"), std::string::npos);
  EXPECT_NE(tiny("--random N=0").out.find("sum: float32 [0]\n"), std::string::npos);
  expectError(tiny("--random"), 2, "--random needs NAME=SIZE for N (dimension 0 of input 'a')");
  expectError(tiny("--random M=3"), 2, "no dynamic dimension 'M'; it has: N");
  expectError(tiny("--random N=3,N=4"), 2, "--random gives 'N' twice");
  expectError(tiny("--random N=x"), 2, "NAME=SIZE");
  expectError(tiny("--random N=1001"), 1, "the batch N must be at most 1000 (given N=1001)");
}

TEST_F(ProgramTest, Benchmarks) {
  const Result json = tiny("--random N=3 --benchmark=20 --json");
  double median, p95, p99, min;
  unsigned long long rss;
  int end = 0;
  ASSERT_EQ(sscanf(json.out.c_str(),
                   "{\"median_ms\":%lf,\"p95_ms\":%lf,\"p99_ms\":%lf,\"min_ms\":%lf,\"peak_rss_bytes\":%llu}%n",
                   &median, &p95, &p99, &min, &rss, &end),
            5)
      << json.out << json.err;
  EXPECT_EQ(json.out.substr(size_t(end)), "\n");
  EXPECT_TRUE(0 < min && min <= median && median <= p95 && p95 <= p99);
  EXPECT_GT(rss, 100000u);
  EXPECT_NE(tiny("--random N=3 --benchmark=20").out.find("median"), std::string::npos);
}

TEST_F(ProgramTest, Profiles) {
  const Result result = tiny("--random N=3 --profile");
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char *part : {"GFLOP/s", "multiply_weights", " row (Gather)"})
    EXPECT_NE(result.out.find(part), std::string::npos) << result.out;
}

TEST_F(ProgramTest, Verifies) { EXPECT_EQ(dsRun("--verify").out, "the weights are sound\n"); }

TEST_F(ProgramTest, BadUsage) {
  expectError(tiny(""), 2,
              "needs inputs 'a' (float32 [N, 4]), 'b' (float32 [N]), 'pick' (int64 []): give --input name=file.npy");
  expectError(tiny("--frobnicate"), 2, "unknown flag '--frobnicate'");
  expectError(tiny("stray"), 2, "unexpected argument 'stray'");
  expectError(tiny("--threads 0"), 2, "--threads needs a number");
  expectError(tiny("--threads"), 2, "--threads needs a number");
  expectError(tiny("--benchmark=99999999999999999999"), 2, "--benchmark needs a number");
  expectError(tiny("--json --random N=1"), 2, "--json is for the figures of --benchmark");
  expectError(tiny("--input a.npy"), 2, "name=file.npy");
  expectError(tiny("--output-dir"), 2, "--output-dir needs a value");
  expectError(tiny("--profile=yes"), 2, "takes no value");
  expectError(tiny("--threads 1 --threads=2"), 2, "--threads is given twice");
  expectError(tiny("--random N=1 --benchmark=2 --json --profile"), 2, "--profile has no such form");
  // What the inputs' names show to be wrong is told before a file is opened.
  const std::string rest = "--input a=absent.npy --input pick=absent.npy ";
  expectError(tiny(rest), 1, "the model needs input 'b' (float32 [N])");
  expectError(tiny(rest + "--input c=b.npy"), 1,
              "no input 'c'; its inputs are: a float32 [N, 4], b float32 [N], pick int64 []");
  expectError(tiny(rest + "--input a=a.npy"), 2, "'a' is given twice");
  expectError(tiny(rest + "--input b="), 2, "--input b= needs the name of a .npy file");
  expectError(command(DS_RUN), 2, "no model given");
  expectError(command(std::string(DS_RUN) + " nothing.so"), 1, "cannot open 'nothing.so'");
}

TEST_F(ProgramTest, BadInput) {
  const double wide[2] = {0, 0};
  const float three[3] = {0, 0, 0};
  write("double.npy", wide, DS_FLOAT64, {2});
  write("three.npy", three, DS_FLOAT32, {3});
  writeFile(folder.file("damaged.npy"), "\x93NUMPY damaged");
  const std::string rest = "--input a=a.npy --input pick=pick.npy --output-dir o ";
  expectError(tiny(rest + "--input b=double.npy"), 1, "input 'b' should be float32, given float64");
  expectError(tiny(rest + "--input b=a.npy"), 1, "input 'b' should have 1 dimension (float32 [N]), given 2");
  expectError(tiny(rest + "--input b=three.npy"), 1, "input 'b' has N=3 in dimension 0, but input 'a' gave N=2");
  expectError(tiny(rest + "--input b=damaged.npy"), 1, "damaged.npy");
  expectError(tiny(rest + "--input b=missing.npy"), 1, "cannot open 'missing.npy'");
  expectError(tiny(rest + "--inputs b.npy"), 1, "not a proper .npz file");
  EXPECT_EQ(command("ls o").code, 2); // nothing was made
  const int64_t pick = -1;
  write("pick.npy", &pick, DS_INT64, {});
  expectError(tiny(given), 1, "node 'row' (Gather): an index value is outside");
}

TEST_F(ProgramTest, OutputsThatCannotBeWritten) {
  expectError(tiny(given + "--output-dir a.npy"), 1, "cannot make the folder 'a.npy'");
  expectError(tiny(given + "--output-dir a.npy/b"), 1, "cannot make the folder 'a.npy/b'");
  // A limit of no bytes stands for a full disk.
  const Result full =
      command("( ulimit -f 0; trap '' XFSZ; " + models->file("tiny") + " " + given + "--output-dir o ) 2>&1 | cat");
  EXPECT_EQ(full.out, "tiny: error: cannot write 'o/sum.npy': File too large\n");
  EXPECT_EQ(command("ls o | wc -l").out, "0\n");
  const Result closed = command(models->file("tiny") + " " + given + " >/dev/full");
  expectError(closed, 1, "cannot write to standard output");
}

TEST_F(ProgramTest, NamesBecomeFileNames) {
  Program program = tinyProgram();
  program.outputs[0].name = "a/b c";
  program.outputs[1].name = "A:b_c";
  linkTiny(folder.file("odd"), EmitKind::Executable, program);
  EXPECT_EQ(command("./odd --random N=1 --output-dir o && ls o | LC_ALL=C sort").out, "A_b_c_2.npy\na_b_c.npy\n");
}
