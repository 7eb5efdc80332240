/*===- TinyProgram.c - A program as the compiler would emit it --------------===*
 * Assumes: the description of Tiny.h.
 * Guarantees: sum[n] = b[n] + the sum over j of a[n][j] * w[j], and row[k] = k * w[pick] for k < 2 * N + 1.
 * Declines: N above 1000, and a `pick` outside 0..3.
 *===----------------------------------------------------------------------===*/
#include "ds_kernel.h"

enum { InA, InB, InPick, OutSum, OutRow, WeightW, TempProducts };

static int32_t multiply_weights(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin,
                                int64_t End) {
  const float *A = State->arguments[0], *W = State->arguments[1];
  float *Products = State->arguments[2];
  for (int64_t N = Begin; N < End; ++N)
    for (int J = 0; J < 4; ++J)
      Products[4 * N + J] = A[4 * N + J] * W[J];
  return DS_KERNEL_OK;
}

static int32_t sum_rows(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin, int64_t End) {
  const float *Products = State->arguments[0], *B = State->arguments[1];
  float *Sum = State->arguments[2], *Scratch = Worker->scratch;
  for (int64_t N = Begin; N < End; ++N) {
    Scratch[0] = B[N];
    for (int J = 0; J < 4; ++J)
      Scratch[0] += Products[4 * N + J];
    Sum[N] = Scratch[0];
  }
  return DS_KERNEL_OK;
}

#ifdef TINY_FAULTS
/* What no kernel may do, by number. GuardTest.cpp */
static int32_t misbehave(int64_t Which, const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t End) {
  float *W = State->arguments[0], *Row = State->arguments[2], *Products = State->arguments[3], *A = State->arguments[4];
  volatile float *Scratch = Worker->scratch;
  switch (Which) {
  case 100: /* just behind the output */
    Row[End] = 1;
    break;
  case 101: /* just before it */
    Row[-1] = 1;
    break;
  case 102: /* far behind it */
    Row[End + 16] = 1;
    break;
  case 103:
    W[0] = 1;
    break;
  case 104: /* a temporary of the past */
    Row[0] = Products[0];
    break;
  case 105: /* an input */
    A[0] = 1;
    break;
  case 106: /* scratch of 64 bytes */
    Scratch[16] = 1;
    break;
  case 107: /* what nobody has written */
    Row[0] = Scratch[0];
    break;
  }
  return DS_KERNEL_OK;
}
#endif

static int32_t fill_row(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin, int64_t End) {
  const float *W = State->arguments[0];
  const int64_t Pick = *(const int64_t *)State->arguments[1];
  float *Row = State->arguments[2];
#ifdef TINY_FAULTS
  if (Pick >= 100)
    return misbehave(Pick, State, Worker, End);
#endif
  if (Pick < 0 || Pick >= 4)
    return DS_KERNEL_INDEX_OUT_OF_RANGE;
  for (int64_t K = Begin; K < End; ++K)
    Row[K] = (float)K * W[Pick];
  return DS_KERNEL_OK;
}

#ifdef TINY_DEFAULTS
/* A version that shows which program ran: all of `row` is -1. */
static int32_t fill_minus_one(const ds_kernel_state *State, const ds_kernel_worker *Worker, int64_t Begin,
                              int64_t End) {
  float *Row = State->arguments[2];
  for (int64_t K = Begin; K < End; ++K)
    Row[K] = -1;
  return DS_KERNEL_OK;
}
#define FILL (Stage == VERSION ? fill_minus_one : fill_row)
#else
#define FILL fill_row
#endif
enum { VERSION = 1000 }; /* no stage */

/* Values: 0: N * 4 * 4 bytes, 1: 2 * N + 1, 2: N * 4 operations. */
static int32_t sizes(int32_t Stage, const int64_t *Symbols, int64_t *Values) {
  (void)Stage;
  Values[0] = Symbols[0] * 16;
  Values[1] = 2 * Symbols[0] + 1;
  Values[2] = Symbols[0] * 4;
  return Symbols[0] > 1000 ? 1 : 0;
}

static int32_t run(int32_t Stage, ds_program_host *Host) {
  (void)Stage;
  void *const *B = Host->buffers;
  const int64_t N = Host->values[2] / 4;
  void *First[] = {B[InA], B[WeightW], B[TempProducts]};
  void *Second[] = {B[TempProducts], B[InB], B[OutSum]};
  void *Third[] = {B[WeightW], B[InPick], B[OutRow], B[TempProducts], B[InA]};
  ds_kernel_state State = {First, 0};
  int32_t Code = Host->launch(Host, 0, multiply_weights, &State, N, 1);
  if (Code)
    return Code;
  State.arguments = Second;
  Code = Host->launch(Host, 1, sum_rows, &State, N, 1);
  if (Code)
    return Code;
  State.arguments = Third;
  return Host->launch(Host, 2, FILL, &State, Host->values[1], 1);
}

/* With TINY_VARIANTS as if it had been compiled for two CPUs. */
#ifdef TINY_VARIANTS
static const ds_program_code Older = {DS_KERNEL_ABI_VERSION, 3, sizes, run, 0, 0, 0};
#define NEXT &Older
#else
#define NEXT 0
#endif

#ifdef TINY_DEFAULTS
static int32_t run_version(int32_t Stage, ds_program_host *Host) { return run(VERSION, Host); }
static const ds_program_code Version = {DS_KERNEL_ABI_VERSION, 3, sizes, run_version, 0, 0, 0};
static const ds_program_code *const Bodies[] = {&Version};
#define BODIES 1, Bodies
#else
#define BODIES 0, 0
#endif

__attribute__((visibility("default")))
const ds_program_code ds_program = {DS_KERNEL_ABI_VERSION, 3, sizes, run, BODIES, NEXT};
