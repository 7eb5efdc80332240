/*===- TinyCustom.c - A program with a custom operator, as the compiler would emit it ===*
 * Assumes: the description of Custom.h.
 * Guarantees: y = op(2 * x, none, ...) + 1, where the operator com.example.Stretch tells the size of y.
 * Declines: nothing.
 *===----------------------------------------------------------------------===*/
#include "ds_kernel.h"

enum { InX, OutY, TempDoubled, Made };

static int32_t double_it(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin, int64_t End) {
  const float *X = State->arguments[0];
  float *Doubled = State->arguments[1];
  for (int64_t I = Begin; I < End; ++I)
    Doubled[I] = 2 * X[I];
  return DS_KERNEL_OK;
}

static int32_t add_one(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin, int64_t End) {
  const float *Of = State->arguments[0];
  float *Y = State->arguments[1];
  for (int64_t I = Begin; I < End; ++I)
    Y[I] = Of[I] + 1;
  return DS_KERNEL_OK;
}

/* Values: 0: N * 4 bytes, 1: the size of y. */
static int32_t sizes(int32_t Stage, const int64_t *Symbols, int64_t *Values) {
  if (Stage == 0)
    Values[0] = Symbols[0] * 4;
  else
    Values[1] = Symbols[1];
  return 0;
}

static int32_t run(int32_t Stage, ds_program_host *Host) {
  void *const *B = Host->buffers;
  void *First[] = {B[InX], B[TempDoubled]}, *Second[] = {B[Made], B[OutY]};
  ds_kernel_state State = {Stage ? Second : First, 0};
  return Stage ? Host->launch(Host, 1, add_one, &State, Host->values[1], 1)
               : Host->launch(Host, 0, double_it, &State, Host->values[0] / 4, 1);
}

__attribute__((visibility("default")))
const ds_program_code ds_program = {DS_KERNEL_ABI_VERSION, 2, sizes, run, 0, 0, 0};
