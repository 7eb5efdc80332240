//===- accumulate.cpp - A model with state, from C++ ----------------------===//
// Assumes: a model with inputs x and state and outputs y and next_state, all float32 [1].
// Guarantees: runs the model on each number of the command line in turn; the state goes from run to run without a copy.
// Declines: resetting the state.
//
//     accumulate model.so 1 2 3
//===----------------------------------------------------------------------===//
#include <cstdio>
#include <ds_runtime.hpp>
#include <string>

int main(int argc, char **argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: accumulate <model.so> <number>...\n");
    return 2;
  }
  ds::Model model(argv[1]);
  ds::Session session(model);
  session.feed("next_state", "state");

  std::vector<ds::Tensor> inputs(model.inputCount());
  float x, zero = 0;
  inputs[model.inputIndex("x")] = ds::Tensor(&x, {1});
  inputs[model.inputIndex("state")] = ds::Tensor(&zero, {1}); // before the first run there is no output to take
  for (int i = 2; i < argc; ++i) {
    x = std::stof(argv[i]);
    std::vector<ds::Tensor> outputs = session.run(inputs);
    std::printf("%g\n", double(outputs[model.outputIndex("y")].data<float>()[0]));
    inputs[model.inputIndex("state")] = ds::Tensor(); // from now on: what the last run left
  }
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "accumulate: error: %s\n", error.what());
  return 1;
}
