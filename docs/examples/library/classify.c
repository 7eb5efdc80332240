/*===- classify.c - Runs a compiled model from C --------------------------===*
 * Assumes: a model with one float32 input [N, K] and one float32 output [N, M], compiled with --emit=library.
 * Guarantees: prints the M numbers of the output for the K numbers of the command line.
 * Declines: batches.
 *
 *     classify model.so 0.5 1 -2 4
 *===----------------------------------------------------------------------===*/
#include <ds_runtime.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(const ds_error *error) {
  fprintf(stderr, "classify: error: %s\n", error->message);
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: classify <model.so> <number>...\n");
    return 2;
  }
  ds_model *model = NULL;
  ds_session *session = NULL;
  ds_error error;
  if (ds_model_load(argv[1], &model, &error))
    return failed(&error);
  if (ds_session_create(model, NULL, &session, &error))
    return failed(&error);

  const int64_t shape[2] = {1, argc - 2};
  float *numbers = malloc(sizeof(float) * (size_t)shape[1]);
  for (int i = 2; i < argc; ++i)
    numbers[i - 2] = strtof(argv[i], NULL);

  ds_tensor in = {numbers, DS_FLOAT32, 2, shape, NULL, DS_HOST};
  ds_tensor out = {0}; /* data NULL: the session's memory, valid until the next run */
  if (ds_session_run(session, &in, 1, &out, 1, &error))
    return failed(&error);
  for (int64_t i = 0; i < out.shape[1]; ++i)
    printf("%.6f\n", ((const float *)out.data)[i]);

  free(numbers);
  ds_session_destroy(session);
  ds_model_release(model);
  return 0;
}
