/*===- ds_kernel.h - What compiled code and the runtime agree upon --------===*
 * Assumes: both sides were built for the same DS_KERNEL_ABI_VERSION (loading checks it).
 * Guarantees: compiled code calls nothing but the functions it is handed here and libm.
 * Declines: everything about files; that is ds_artifact.h.
 *===----------------------------------------------------------------------===*/
#ifndef DS_KERNEL_H
#define DS_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DS_KERNEL_ABI_VERSION 4

/* What one launch of a kernel works on. An argument is the first byte of a buffer; a size is whatever integer the
 * kernel was compiled to expect (a dimension, a stride, ...). */
typedef struct ds_kernel_state {
  void *const *arguments;
  const int64_t *sizes;
} ds_kernel_state;

/* The thread that runs a piece of a launch. `scratch` is 64-byte aligned and at least as large as the program asked
 * for. */
typedef struct ds_kernel_worker {
  int64_t id;
  void *scratch;
} ds_kernel_worker;

/* Computes items [begin, end) of the launch's range. Returns DS_KERNEL_OK, or a code below. */
typedef int32_t (*ds_kernel_fn)(const ds_kernel_state *state, const ds_kernel_worker *worker, int64_t begin,
                                int64_t end);

enum {
  DS_KERNEL_OK = 0,
  DS_KERNEL_INDEX_OUT_OF_RANGE = 1, /* Gather, Scatter, ...: an index value outside its dimension */
  DS_KERNEL_DIVISION_BY_ZERO = 2,   /* integer division or modulo */
  DS_KERNEL_BAD_VALUE = 3,          /* another run-time value that the operator does not allow */
  DS_KERNEL_NO_TILES = 4            /* the system does not let the process use the CPU's matrix tiles */
};

/* What the runtime hands to the program's host function.
 * buffers: one pointer a buffer of the program's metadata (inputs, outputs, weights, temporaries), in their order.
 * values:  the results of `sizes` below for the dimensions of this run.
 * launch:  runs kernel number `kernel` over [0, range), cut into pieces of at least `grain` items (>= 1) for the
 *          worker threads; returns when all are done. `node` numbers the launch (profile, errors).
 *          Returns 0, or what a kernel returned; the host function then returns that at once. */
typedef struct ds_program_host {
  void *const *buffers;
  const int64_t *values;
  int32_t (*launch)(struct ds_program_host *host, int32_t node, ds_kernel_fn kernel, const ds_kernel_state *state,
                    int64_t range, int64_t grain);
} ds_program_host;

/* The one symbol that compiled code exports: `ds_program`.
 * A program has stages (ds_artifact_stage): most have one; each further one begins where sizes that depend on data
 * become known.
 * sizes: evaluates the size expressions that become known with stage `stage` from the `symbols` known to it (in the
 *        order of the metadata) into `values`, which has room for all. Returns 0, or 1 + the number of the first
 *        constraint of the stage that does not hold.
 * run:   launches the kernels of a stage in order. */
typedef struct ds_program_code {
  uint32_t abi_version;
  uint32_t kernel_count;
  int32_t (*sizes)(int32_t stage, const int64_t *symbols, int64_t *values);
  int32_t (*run)(int32_t stage, ds_program_host *host);
  /* Programs that the runtime runs between stages (ds_artifact_call); these have none of their own. */
  uint32_t body_count;
  const struct ds_program_code *const *bodies;
  /* The same program for a CPU that can do less; in the order of the metadata's variants. NULL: there is none. */
  const struct ds_program_code *next;
} ds_program_code;

#define DS_PROGRAM_SYMBOL "ds_program"

#ifdef __cplusplus
}
#endif
#endif
