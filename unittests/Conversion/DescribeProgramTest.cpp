//===- DescribeProgramTest.cpp - What an artifact says of rt.program ------===//
#include "dialects/rt/RtDialect.h"
#include "ds/Conversion/RtToLLVM.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;

namespace ds::test {

/// One kernel, on a device, reads the input and writes the output there; an operator of the host's reads the input.
constexpr const char *kProgram = R"mlir(
  rt.code @k : (tensor<?xf32>, tensor<1xf32>) -> tensor<?xf32> attributes {
    symbols = ["k0"], sizes = #ds.shape<["k0"]>, range = #ds.shape<["k0"]>, grain = #ds.shape<["1"]>,
    scratch = #ds.shape<["0"]>, flops = #ds.shape<["2*k0"]>, bytes = #ds.shape<["8*k0"]>, device = 1}
  rt.program @main attributes {
      inputs = [#rt.tensor<name = "x", type = tensor<?xf32>, shape = <["N"]>, donated_to = 0>,
                #rt.tensor<name = "on_host", type = tensor<i64>, shape = <[]>>],
      outputs = [#rt.tensor<name = "y", type = tensor<?xf32>, shape = <["N"]>>]} {
    %x = rt.buffer input 0 bytes <["4*N"]> : !rt.buffer<device 1>
    %h = rt.buffer input 1 bytes <["8"]>
    %y = rt.buffer output 0 bytes <["4*N"]> : !rt.buffer<device 1>
    %w = rt.buffer weight 0 bytes <["4"]> {value = dense<1.0> : tensor<1xf32>} : !rt.buffer<device 1>
    %t = rt.buffer temporary 0 bytes <["4*N"]> {first = 0 : i64, last = 1 : i64} : !rt.buffer<device 1>
    rt.dispatch @k(%x, %w : !rt.buffer<device 1>, !rt.buffer<device 1>) to(%t : !rt.buffer<device 1>) symbols <["N"]>
    rt.dispatch @k(%t, %w : !rt.buffer<device 1>, !rt.buffer<device 1>) to(%y : !rt.buffer<device 1>) symbols <["N"]>
    rt.call custom [](%h, %t : !rt.buffer, !rt.buffer<device 1>) to() {
      input_tensors = [unit, #rt.tensor<type = tensor<i64>, shape = <[]>>, #rt.tensor<type = tensor<?xf32>, shape = <["N"]>>],
      output_tensors = [], custom = #rt.operator<"Print", "com.example", {}>, split = 0 : i64,
      symbols = #ds.shape<[]>, trips_width = 64 : i64}
  })mlir";

/// Describes kProgram; its weights, which no test reads, end with the context.
static FailureOr<artifact::Program> describe() {
  MLIRContext context;
  context.loadDialect<DsDialect, rt::RtDialect>();
  auto module = parseSourceString<ModuleOp>(kProgram, &context);
  return module ? describeProgram(*module) : FailureOr<artifact::Program>();
}

TEST(DescribeProgram, MemorySpacesAreThoseOfBuffers) {
  FailureOr<artifact::Program> program = describe();
  ASSERT_TRUE(succeeded(program));
  constexpr uint32_t kHost = DS_SPACE_HOST, kDevice = 2; // 1 + its number
  std::vector<uint32_t> spaces;
  for (const artifact::Buffer &buffer : program->buffers)
    spaces.push_back(buffer.space);
  EXPECT_EQ(spaces, (std::vector<uint32_t>{kDevice, kHost, kDevice, kDevice, kDevice}));
  EXPECT_EQ(program->inputs[0].space, kDevice);
  EXPECT_EQ(program->inputs[1].space, kHost);
  EXPECT_EQ(program->outputs[0].space, kDevice);
  ASSERT_EQ(program->calls.size(), 1u);
  ASSERT_EQ(program->calls[0].inputs.size(), 3u);
  EXPECT_EQ(program->calls[0].inputs[0].buffer, DS_ARTIFACT_NO_BUFFER);
  EXPECT_EQ(program->calls[0].inputs[1].tensor.space, kHost);
  EXPECT_EQ(program->calls[0].inputs[2].tensor.space, kDevice);
}

TEST(DescribeProgram, KernelsAndDonationsAreAsStated) {
  FailureOr<artifact::Program> program = describe();
  ASSERT_TRUE(succeeded(program));
  ASSERT_EQ(program->donations.size(), 1u);
  EXPECT_EQ(program->donations[0].output, 0u);
  EXPECT_FALSE(program->donations[0].inPlace);
  EXPECT_EQ(program->kernels.size(), 1u);
  ASSERT_EQ(program->launches.size(), 2u);
  EXPECT_EQ(program->launches[0].flops.kind, uint32_t(DS_NUMBER_VALUE)); // 2*N
  EXPECT_EQ(program->inputs[0].dimensions[0].size.kind, uint32_t(DS_NUMBER_SYMBOL));
  EXPECT_EQ(program->outputs[0].dimensions[0].text, "N");
}

} // namespace ds::test
