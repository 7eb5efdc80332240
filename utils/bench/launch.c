/*===- launch.c - What a run costs beside its kernels ------------------------===*
 * Assumes: a model compiled with --emit=library whose inputs are float32 of at most 64 elements in all at size 1.
 * Guarantees: prints the median and the fastest time of a run through the C interface, in nanoseconds, on one thread:
 *             with the session's own outputs, and with the caller's.
 * Declines: models with inputs of other types.
 *===----------------------------------------------------------------------===*/
#include <ds_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { Rounds = 201, RunsARound = 2000, MostTensors = 16 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int measure(ds_session *session, const ds_tensor *in, size_t inputs, ds_tensor *out, size_t outputs,
                   const char *what) {
  static double rounds[Rounds];
  ds_error error;
  for (int r = 0; r < Rounds; ++r) {
    const double start = now();
    for (int i = 0; i < RunsARound; ++i)
      if (ds_session_run(session, in, inputs, out, outputs, &error))
        return fprintf(stderr, "launch: error: %s\n", error.message), 1;
    rounds[r] = (now() - start) / RunsARound;
  }
  qsort(rounds, Rounds, sizeof *rounds, compare);
  printf("%s %.1f %.1f\n", what, rounds[Rounds / 2], rounds[0]);
  return 0;
}

int main(int argc, char **argv) {
  ds_model *model;
  ds_session *session;
  ds_error error;
  ds_session_options options = {0};
  options.threads = 1;
  if (argc != 2)
    return fprintf(stderr, "usage: launch <model.so>\n"), 2;
  if (ds_model_load(argv[1], &model, &error) || ds_session_create(model, &options, &session, &error))
    return fprintf(stderr, "launch: error: %s\n", error.message), 1;
  const size_t inputs = ds_model_input_count(model), outputs = ds_model_output_count(model);
  ds_tensor in[MostTensors], out[MostTensors] = {{0}}, own[MostTensors] = {{0}};
  int64_t symbols[MostTensors];
  static float zeros[MostTensors][64], results[MostTensors][64];
  if (inputs > MostTensors || outputs > MostTensors || ds_model_symbol_count(model) > MostTensors)
    return fprintf(stderr, "launch: error: more than %d inputs, outputs or symbols\n", MostTensors), 1;
  for (size_t i = 0; i < MostTensors; ++i)
    symbols[i] = 1;
  if (ds_session_resolve(session, symbols, ds_model_symbol_count(model), in, out, &error))
    return fprintf(stderr, "launch: error: %s\n", error.message), 1;
  for (size_t i = 0; i < inputs; ++i)
    in[i].data = zeros[i];
  for (size_t i = 0; i < outputs; ++i)
    out[i].data = results[i];
  const int failed = measure(session, in, inputs, own, outputs, "session-owned") ||
                     measure(session, in, inputs, out, outputs, "caller-owned");
  ds_session_destroy(session);
  ds_model_release(model);
  return failed;
}
