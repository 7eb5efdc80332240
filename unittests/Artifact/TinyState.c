/*===- TinyState.c - A program with a donated input -------------------------===*
 * Assumes: the description of StateTest.cpp; buffers w, x, next, old.
 * Guarantees: old = w, then next = w + r * x element by element, so that next may be w's memory.
 * Declines: x that begins with a negative number: the run fails after half of `next` is written.
 *===----------------------------------------------------------------------===*/
#include "ds_kernel.h"

enum { InW, InX, OutNext, OutOld };

static int32_t keep_old(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin, int64_t End) {
  const float *W = State->arguments[0];
  float *Old = State->arguments[1];
  for (int64_t I = Begin; I < End; ++I)
    Old[I] = W[I];
  return DS_KERNEL_OK;
}

static int32_t update(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin, int64_t End) {
  const float *W = State->arguments[0], *X = State->arguments[1];
  float *Next = State->arguments[2];
  for (int64_t I = Begin; I < End; ++I) {
    if (I == (Begin + End) / 2 && X[0] < 0)
      return DS_KERNEL_BAD_VALUE;
    Next[I] = W[I] + (float)State->sizes[0] * X[I];
  }
  return DS_KERNEL_OK;
}

/* Symbols: N, r. Values: the length of `next`, which is another one past 100; r. */
static int32_t sizes(int32_t Stage, const int64_t *Symbols, int64_t *Values) {
  (void)Stage;
  Values[0] = Symbols[0] > 100 ? Symbols[0] + 1 : Symbols[0];
  Values[1] = Symbols[1];
  return 0;
}

static int32_t run(int32_t Stage, ds_program_host *Host) {
  (void)Stage;
  void *const *B = Host->buffers;
  void *First[] = {B[InW], B[OutOld]}, *Second[] = {B[InW], B[InX], B[OutNext]};
  ds_kernel_state State = {First, 0};
  int32_t Code = Host->launch(Host, 0, keep_old, &State, Host->values[0], 1);
  if (Code)
    return Code;
  State.arguments = Second;
  State.sizes = &Host->values[1];
  return Host->launch(Host, 1, update, &State, Host->values[0], 1 << 20);
}

__attribute__((visibility("default")))
const ds_program_code ds_program = {DS_KERNEL_ABI_VERSION, 2, sizes, run, 0, 0, 0};
