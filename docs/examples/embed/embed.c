/*===- embed.c - A program with a model inside ------------------------------===*
 * Assumes: classifier.o, made by `ds-compile model.onnx --emit=object -o classifier.o`, with one float32 input [N, K]
 *          and one float32 output [N, M].
 * Guarantees: needs nothing at run time but libc and libm: code, weights and runtime are in the program.
 * Declines: batches.
 *
 *     cc embed.c classifier.o -lds_runtime -lm -lpthread -o embed
 *     ./embed 0.5 1 -2 4
 *===----------------------------------------------------------------------===*/
#include <ds_runtime.h>
#include <stdio.h>
#include <stdlib.h>

DS_DECLARE_MODEL(classifier); /* of classifier.o */

int main(int argc, char **argv) {
  ds_model *model = NULL;
  ds_session *session = NULL;
  ds_error error;
  float *numbers = calloc((size_t)argc, sizeof *numbers);
  const int64_t shape[2] = {1, argc - 1};
  for (int i = 1; i < argc; ++i)
    numbers[i - 1] = strtof(argv[i], NULL);

  ds_tensor in = {numbers, DS_FLOAT32, 2, shape, NULL, DS_HOST}, out = {0};
  ds_status status = ds_model_load_embedded(&ds_model_classifier, &model, &error);
  if (!status)
    status = ds_session_create(model, NULL, &session, &error);
  if (!status)
    status = ds_session_run(session, &in, 1, &out, 1, &error);
  if (status)
    fprintf(stderr, "embed: error: %s\n", error.message);
  else
    for (int64_t i = 0; i < out.shape[1]; ++i)
      printf("%.6f\n", ((const float *)out.data)[i]);

  ds_session_destroy(session);
  ds_model_release(model);
  free(numbers);
  return status ? 1 : 0;
}
