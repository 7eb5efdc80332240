/*===- ds_runtime.h - Running compiled models -----------------------------===*
 * Assumes: Linux, a 64-bit little-endian machine.
 * Guarantees: no function throws, exits, prints or leaks; a failing one returns a status, writes one line to `error`
 *             (where that is not NULL) that says what was expected and what was given, and changes nothing else.
 * Declines: running artifacts of strangers safely. Code in an artifact is as trusted as any program.
 *
 * A model is immutable and may be shared between threads; a session belongs to one thread at a time. docs/Runtime.md is
 * the guide; ds_runtime.hpp wraps all of this for C++.
 *
 *     ds_model *model; ds_session *session; ds_error error;
 *     if (ds_model_load("model.so", &model, &error)) ...
 *     if (ds_session_create(model, NULL, &session, &error)) ...
 *     int64_t shape[2] = {1, 128};
 *     ds_tensor in = {data, DS_FLOAT32, 2, shape, NULL, DS_HOST}, out = {0};
 *     if (ds_session_run(session, &in, 1, &out, 1, &error)) ...   // out.data is valid until the next run
 *     ds_session_destroy(session); ds_model_release(model);
 *===----------------------------------------------------------------------===*/
#ifndef DS_RUNTIME_H
#define DS_RUNTIME_H

#include "ds_artifact.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DS_API __attribute__((visibility("default")))
#else
#define DS_API
#endif

#define DS_RUNTIME_VERSION "0.1.0"

typedef enum ds_status {
  DS_OK = 0,
  DS_BAD_ARGUMENT = 1, /* a NULL or number out of range where the function needs another */
  DS_BAD_ARTIFACT = 2, /* not an artifact, damaged, or of another version */
  DS_UNSUPPORTED = 3,  /* a sound artifact that this machine, or this program, cannot run */
  DS_BAD_INPUT = 4,    /* a tensor of the wrong type, rank or size, or values that an operator refuses */
  DS_OUT_OF_MEMORY = 5,
  DS_IO_ERROR = 6 /* the operating system refused to open, read, map or start something */
} ds_status;

/* One line, without a line break at its end, always NUL-terminated. */
typedef struct ds_error {
  char message[1024];
} ds_error;

/* A string: `size` bytes, UTF-8 where an operator looks into them; it may hold NULs. Elements of tensors of type
 * DS_STRING are such. Those of inputs are read during the run alone, and need no NUL at the end; NULL is an empty
 * string's `data`, too. Those of outputs are the session's, followed by a NUL, and stay until its next run. */
typedef struct ds_string {
  const char *data;
  size_t size;
} ds_string;

/* Where memory lies, as DLPack's DLDevice says it: a kind of device (DS_DEVICE_CPU, ..., with the numbers of kDLCPU,
 * ...) and which one of that kind. All zero is the host, too. */
typedef struct ds_device {
  int32_t device_type;
  int32_t device_id;
} ds_device;
#define DS_HOST {DS_DEVICE_CPU, 0}

/* `data` points to the element at index 0 of all dimensions. `shape` has `rank` entries. `strides` are in elements, may
 * be negative, and NULL means row-major without gaps. Strided tensors, and those whose address is no multiple of the
 * element size, are copied; others are used in place. An initializer may end before `device`, which then is the host:
 * wherever a function takes a tensor, it refuses memory of a device that this runtime has no code for. */
typedef struct ds_tensor {
  void *data;
  int32_t dtype; /* DS_FLOAT32, ... (ds_artifact.h) */
  int32_t rank;
  const int64_t *shape;
  const int64_t *strides;
#ifdef __cplusplus
  ds_device device = {}; /* no compiler warns of a shorter initializer */
#else
  ds_device device;
#endif
} ds_tensor;

/* A dimension of an input or output: `size` where the compiler knew it, otherwise -1. `text` is the size as an
 * expression over the model's symbols. */
typedef struct ds_dimension_info {
  int64_t size;
  const char *text;
} ds_dimension_info;

/* All pointers live as long as the model. */
typedef struct ds_tensor_info {
  const char *name;
  int32_t dtype;
  int32_t rank;
  const ds_dimension_info *dimensions;
  ds_device device; /* where the program wants it, or makes it */
} ds_tensor_info;

/* A dimension that each run chooses, read from dimension `dimension` of input number `input`; or, where `input` is -1,
 * a number that the session is given (ds_session_set_symbol). */
typedef struct ds_symbol_info {
  const char *name;    /* unique in the model */
  const char *display; /* as the source model spells it */
  int32_t input;
  int32_t dimension;
} ds_symbol_info;

typedef struct ds_model ds_model;
typedef struct ds_session ds_session;

/* "float32" for DS_FLOAT32 and so on (NumPy's names); "unknown" for another number. */
DS_API const char *ds_dtype_name(int32_t dtype);
/* Bytes of one element; 0 for an unknown type. */
DS_API size_t ds_dtype_size(int32_t dtype);

/* The tensor that a DLPack tensor (dlpack.h, or ds_dlpack.h) describes, without a copy: `to` points to the memory,
 * shape, strides and device of `from`. What is not row-major without gaps is copied later, by the run that takes it as
 * an input. DS_BAD_ARGUMENT: memory of a device that this runtime has no code for, or an element type that
 * ds_dtype_name does not know. */
struct DLTensor;
DS_API ds_status ds_tensor_from_dlpack(const struct DLTensor *from, ds_tensor *to, ds_error *error);

/*===- Models -------------------------------------------------------------===*/

/* Opens an artifact made with --emit=library. Checks metadata, code (by checksum) and CPU before any of its code is
 * loaded. Weights that were put into a file of their own (past 2 GB, or by --weights=beside) are looked for beside it.
 */
DS_API ds_status ds_model_load(const char *path, ds_model **model, ds_error *error);

/* The same from `size` bytes in memory, which are copied (to a memory file). Weights must be inside. */
DS_API ds_status ds_model_load_memory(const void *data, size_t size, ds_model **model, ds_error *error);

/* The model whose code is linked into this very program, with metadata and weights appended to the program's file. */
struct ds_program_code;
DS_API ds_status ds_model_load_self(const struct ds_program_code *code, ds_model **model, ds_error *error);

/* The model of an object file made with --emit=object, linked into this program. `-o bert.o` defines ds_model_bert:
 *
 *     DS_DECLARE_MODEL(bert);
 *     ds_model_load_embedded(&ds_model_bert, &model, &error);
 */
#ifdef __cplusplus
#define DS_DECLARE_MODEL(name) extern "C" const ds_embedded_model ds_model_##name
#else
#define DS_DECLARE_MODEL(name) extern const ds_embedded_model ds_model_##name
#endif
DS_API ds_status ds_model_load_embedded(const ds_embedded_model *embedded, ds_model **model, ds_error *error);

/* Gives the model back; it disappears with its last session. NULL is fine. */
DS_API void ds_model_release(ds_model *model);

/* Reads all weights and compares them with their checksum: DS_OK, or DS_BAD_ARTIFACT. Loading does not do that. */
DS_API ds_status ds_model_verify(const ds_model *model, ds_error *error);

DS_API size_t ds_model_input_count(const ds_model *model);
DS_API size_t ds_model_output_count(const ds_model *model);
DS_API size_t ds_model_symbol_count(const ds_model *model);
/* An index out of range is DS_BAD_ARGUMENT. */
DS_API ds_status ds_model_input(const ds_model *model, size_t index, ds_tensor_info *info);
DS_API ds_status ds_model_output(const ds_model *model, size_t index, ds_tensor_info *info);
DS_API ds_status ds_model_symbol(const ds_model *model, size_t index, ds_symbol_info *info);

/* 1 where a run may leave input number `index` out (its entry is all zero): then it is the tensor that
 * ds_model_input_default tells, whose data must not be written to; DS_BAD_ARGUMENT where it has none. A run that gives
 * none of such inputs runs a version of the program in which they are constants. */
DS_API int ds_model_input_is_optional(const ds_model *model, size_t index);
DS_API ds_status ds_model_input_default(const ds_model *model, size_t index, ds_tensor *value);

/* The inputs of the source model that are constants of this program: initializers that it was not compiled to take
 * (ds-compile --optional). NULL past the end. */
DS_API const char *ds_model_fixed_input(const ds_model *model, size_t index);

/* The number of the output that input number `input` is donated to (State, below); DS_NO_OUTPUT where it is not. */
#define DS_NO_OUTPUT ((size_t)-1)
DS_API size_t ds_model_donation(const ds_model *model, size_t input);

/* The number of the input that a model has its random numbers by, DS_NO_INPUT where it draws none: two int64, the seed
 * and the number of the run, from 0. It is optional (0 and 0) and donated to its next value, whose run is the one
 * after: a session that is not told otherwise begins with seed 0 and draws other numbers in each run (ds_session_seed).
 */
#define DS_NO_INPUT ((size_t)-1)
DS_API size_t ds_model_generator(const ds_model *model);

typedef struct ds_model_summary {
  const char *triple;
  const char *cpu; /* of the code that runs here */
  const char *compiler;
  uint64_t weight_bytes; /* those of all CPUs together */
  uint64_t kernel_count;
  uint64_t launch_count;
  uint64_t property_count;
  const char *cpus; /* that the artifact has code for, the most capable first: "znver4, x86-64-v3" */
} ds_model_summary;
DS_API void ds_model_describe(const ds_model *model, ds_model_summary *summary);

/* The source model's own metadata. `key` of property number `index`, NULL past the end; value of a key, NULL without
 * it. */
DS_API const char *ds_model_property_key(const ds_model *model, size_t index);
DS_API const char *ds_model_property(const ds_model *model, const char *key);

/* The ONNX model that a training step was made from, without its parameters. A file of it is `model`, then a byte 0x3A,
 * then, after its size as a varint, a graph: `graph`, followed by a field 5 (TensorProto) for each parameter. Both live
 * as long as the model. DS_BAD_ARGUMENT: this one has none. */
typedef struct ds_model_source {
  const void *model;
  size_t model_size;
  const void *graph;
  size_t graph_size;
} ds_model_source;
DS_API ds_status ds_model_export(const ds_model *model, ds_model_source *source);

/*===- Sessions -----------------------------------------------------------===*/

/* `allocate` returns `size` bytes aligned to `alignment`, a power of two (or NULL); `release` gets the same size back.
 */
typedef struct ds_allocator {
  void *context;
  void *(*allocate)(void *context, size_t size, size_t alignment);
  void (*release)(void *context, void *memory, size_t size);
} ds_allocator;

/* Operators that models use and this program implements: those of domains that ds-compile got by --custom-ops. */
typedef struct ds_custom_op ds_custom_op;

/* The value of a symbol that no input has: a rank's coordinate, say. */
typedef struct ds_symbol_value {
  const char *name;
  int64_t value; /* from 0 to 2^40 */
} ds_symbol_value;

/* Finds faults of memory, in the model's code or in the runtime; slow. Each buffer and each thread's scratch is memory
 * of its own between pages that no access may touch (the allocator is not used), filled with ones before it is first
 * written (NaN, -1) and out of reach when its life is over; inputs and weights are copied, and cannot be written. An
 * access outside is told on standard error, with its node, and ends the process (SIGSEGV); a write within 64 bytes past
 * a buffer's end ends the run with an error. Results are those of a session without it. */
#define DS_SESSION_GUARD 1
/* Looks at each input, and at all that a launch made, for NaN; the first one ends the run with an error that names the
 * input or the node. Results are those of a session without it. */
#define DS_SESSION_CHECK_NAN 2

typedef struct ds_session_options {
  uint32_t threads;              /* the calling one included; 0 = the CPUs this process may use */
  uint32_t flags;                /* DS_SESSION_*, or 0 */
  const ds_allocator *allocator; /* NULL = memory of the operating system, in huge pages where it can */
  void (*logger)(void *context, const char *message); /* NULL = silence; tells of plans and memory */
  void *logger_context;
  const ds_custom_op *custom_ops; /* copied; all that the model uses must be among them */
  size_t custom_op_count;
  const ds_symbol_value *given; /* as by ds_session_set_symbol; copied */
  size_t given_count;
} ds_session_options;

/* `options` may be NULL. The result does not depend on the number of threads. DS_UNSUPPORTED: the model has a custom
 * operator that the options lack. */
DS_API ds_status ds_session_create(ds_model *model, const ds_session_options *options, ds_session **session,
                                   ds_error *error);
/* NULL is fine. Session-owned outputs disappear with it. */
DS_API void ds_session_destroy(ds_session *session);
DS_API uint32_t ds_session_threads(const ds_session *session);

/* Gives a symbol that no input has (ds_symbol_info.input is -1) its value, which holds until it gets another one. A run
 * needs all of them. */
DS_API ds_status ds_session_set_symbol(ds_session *session, const char *name, int64_t value, ds_error *error);

/* Runs the model. Inputs are in the order of ds_model_input; all must be given but optional ones
 * (ds_model_input_is_optional), whose entries may be all zero.
 * Outputs: `outputs` may be NULL (output_count 0); otherwise output_count is that of the model, and each entry is
 * either
 *   - `data` not NULL: the caller's memory, with dtype, rank and shape as the run will produce them (ds_session_infer),
 * or
 *   - `data` NULL, or as an earlier run of the session filled it in: the run fills in the entry. Data and shape belong
 * to the session. Session-owned outputs stay valid until the next run, and may be inputs of it (without a copy). No
 * caller-owned output may overlap an input or another output. Errors: DS_BAD_INPUT (count, type, rank, size, inputs
 * that disagree on a symbol, a constraint of the model, an index value out of range, overlap), DS_OUT_OF_MEMORY. After
 * an error outputs have no defined contents. */
DS_API ds_status ds_session_run(ds_session *session, const ds_tensor *inputs, size_t input_count, ds_tensor *outputs,
                                size_t output_count, ds_error *error);

/* Output number `index` of the last successful run, wherever it lies. */
DS_API ds_status ds_session_output(const ds_session *session, size_t index, ds_tensor *output);

/* Gives output number `index` of the last successful run away, as a DLPack tensor (dlpack.h, or ds_dlpack.h), without a
 * copy: its memory leaves the session, which takes new memory in its next run. It outlives session and model; whoever
 * has it calls its `deleter`, on any thread (an allocator of the caller's must bear that). The entry of `outputs` that
 * named the output must be cleared before the next run. DS_BAD_ARGUMENT: no such output, one given away already, or
 * one in memory of the caller, who has it. */
struct DLManagedTensorVersioned;
DS_API ds_status ds_session_detach(ds_session *session, size_t index, struct DLManagedTensorVersioned **tensor,
                                   ds_error *error);

/* From now on output number `output` of each run is input number `input` of the next one, without a copy, wherever
 * the entry of that input is all zero (`(ds_tensor){0}`). An entry that names a tensor is taken as such: the first run
 * needs one, and another one starts a new sequence. For state that a program carries from run to run: the caches of a
 * decoder, the state of a recurrent network. Both must have one type and rank; sizes may change (a cache that grows).
 * An output may feed several inputs. An optional input needs none in the first run either: it begins with
 * its default. DS_NO_OUTPUT as `output` ends it. After a run that failed once it had begun (an
 * index out of range, say) there is no last output: a tensor must be given again. An input that is donated takes no
 * feed: its output is its next value anyway. */
DS_API ds_status ds_session_feed(ds_session *session, size_t output, size_t input, ds_error *error);

/* Fills in dtype, rank and shape of all outputs (`outputs`: one a model output, data NULL) for inputs of the given
 * shapes (their data is not looked at). A size that depends on data is -1. Shapes are valid until the next call of this
 * kind, or run, on the session. */
DS_API ds_status ds_session_infer(ds_session *session, const ds_tensor *inputs, size_t input_count, ds_tensor *outputs,
                                  size_t output_count, ds_error *error);

/* The same from sizes of the model's symbols (ds_model_symbol), filling in inputs as well; either may be NULL. Of a
 * symbol that the session was given, -1 stands for that value. */
DS_API ds_status ds_session_resolve(ds_session *session, const int64_t *symbols, size_t symbol_count, ds_tensor *inputs,
                                    ds_tensor *outputs, ds_error *error);

/* Bytes of memory that the session holds for temporaries, scratch and its own outputs and copies. */
DS_API uint64_t ds_session_memory(const ds_session *session);

/*===- State --------------------------------------------------------------===*/

/* An input may be donated to an output (ds-compile --donate=IN:OUT): a run makes the output in the input's memory, so
 * that a state that run after run updates (parameters and what an optimizer keeps of them, a cache of fixed size)
 * exists once. Both have one type, and in each run one shape. Outputs are those of a run without donation, bit for bit.
 *
 * A session can hold that state: where the entry of a donated input in ds_session_run is all zero, the run takes the
 * session's state, and leaves the next one there. An entry that names memory donates that memory instead, for this run:
 * it must be row-major without gaps, aligned, writable, apart from all other inputs, and of no other session's state or
 * run; the output is then in it. Outputs that inputs are donated to are never in other memory: their entry of `outputs`
 * is empty, or names that of the input. After a run that failed once it had begun, donated memory has no defined
 * contents; a state in the session is lost then, and a run that needs it says so. A state of an optional input that
 * was never set, or was reset, begins as a copy of the default. */

/* A state of zeros for input number `input`. `shape` may be NULL where the model knows all its dimensions. One of
 * another shape takes the place of what was there. */
DS_API ds_status ds_session_state_create(ds_session *session, size_t input, const int64_t *shape, ds_error *error);
/* A state that is a copy of `value`. */
DS_API ds_status ds_session_state_set(ds_session *session, size_t input, const ds_tensor *value, ds_error *error);
/* The state, without a copy: the program may read and write it between runs. It stays where it is until another one of
 * another shape takes its place. */
DS_API ds_status ds_session_state_get(const ds_session *session, size_t input, ds_tensor *value, ds_error *error);
/* The session has no such state any more, and gives its memory back. */
DS_API ds_status ds_session_state_reset(ds_session *session, size_t input, ds_error *error);

/* From now on the session draws random numbers by this seed, as one does in its first run: a state of the input
 * ds_model_generator. Runs of one seed and number have the same numbers, on any number of threads. A run that failed
 * leaves this state as it is, or as the next run would have it. DS_BAD_ARGUMENT: the model draws none. */
DS_API ds_status ds_session_seed(ds_session *session, int64_t seed, ds_error *error);

/*===- Custom operators ---------------------------------------------------===*/

/* The node whose operator runs, while it does. */
typedef struct ds_custom_node ds_custom_node;

/* An output whose shape is asked for. `shape` has `rank` entries: what the model says of the size, or -1. */
typedef struct ds_custom_output {
  int32_t dtype; /* 0: the node leaves the output out, and nothing is to be done */
  int32_t rank;
  int64_t *shape;
} ds_custom_output;

/* An operator. Its functions are called on the thread that runs the session, once each for every node that is computed,
 * and must not use that session. Inputs are row-major without gaps and must not be written to; those that the node
 * leaves out have dtype 0. A function returns a ds_status; one other than DS_OK ends the run with that status and the
 * message that it wrote to `error`, to which the node's name is added. */
struct ds_custom_op {
  const char *domain; /* "com.example" */
  const char *name;   /* "MyOp" */
  void *context;      /* handed to both functions; sessions in several threads may do so at the same time */
  /* Fills in the entries of the shapes that are -1. It may look at the contents of the inputs. NULL: the model says all
   * sizes. */
  int32_t (*infer)(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t input_count,
                   ds_custom_output *outputs, size_t output_count, ds_error *error);
  /* Computes all elements of the outputs, whose memory is the session's. Outputs that the node leaves out have dtype 0.
   * A bool must be 0 or 1. */
  int32_t (*run)(void *context, ds_custom_node *node, const ds_tensor *inputs, size_t input_count,
                 const ds_tensor *outputs, size_t output_count, ds_error *error);
};

/* An attribute of a node: `count` values of one of the kinds, which live as long as the session. Strings are followed
 * by a NUL. */
typedef struct ds_attribute {
  const char *name;
  int32_t kind;             /* DS_ATTRIBUTE_INT and so on (ds_artifact.h); single values have count 1 */
  size_t count;             /* not of a tensor */
  const int64_t *ints;      /* of INT and INTS, otherwise NULL */
  const float *floats;      /* of FLOAT and FLOATS */
  const ds_string *strings; /* of STRING and STRINGS */
  ds_tensor tensor;         /* of TENSOR; not to be written to */
} ds_attribute;

/* NULL where the node has no such attribute. */
DS_API const ds_attribute *ds_custom_attribute(const ds_custom_node *node, const char *name);
/* By number; NULL past the end. */
DS_API const ds_attribute *ds_custom_attribute_at(const ds_custom_node *node, size_t index);
/* A single value, or `otherwise` where the node has no attribute of that name and kind. */
DS_API int64_t ds_custom_int(const ds_custom_node *node, const char *name, int64_t otherwise);
DS_API float ds_custom_float(const ds_custom_node *node, const char *name, float otherwise);
DS_API const char *ds_custom_string(const ds_custom_node *node, const char *name, const char *otherwise);
/* "node 'filter' (com.example.MyOp)" */
DS_API const char *ds_custom_source(const ds_custom_node *node);

/* Calls `body` for parts of [0, count), of at least `grain` each, on the session's threads; returns when all are done:
 * 0, or what the first part returned whose result is not 0. A call from within `body` computes on the calling thread
 * alone. */
DS_API int32_t ds_custom_parallel(ds_custom_node *node, int64_t count, int64_t grain,
                                  int32_t (*body)(void *argument, int64_t begin, int64_t end), void *argument);

/* The custom operators that the model uses, each once; DS_BAD_ARGUMENT past the end. */
DS_API ds_status ds_model_custom_op(const ds_model *model, size_t index, const char **domain, const char **name);

/*===- Profile ------------------------------------------------------------===*/

/* Of one launch (a kernel at one place of the model) or one node of a custom operator, summed over the runs since
 * profiling was switched on. */
typedef struct ds_profile_entry {
  const char *kernel; /* name of the function, or of the operator */
  const char *source; /* nodes of the source model */
  uint64_t calls;
  double seconds;
  double flops; /* floating-point operations of all calls; 0 where unknown */
  double bytes; /* bytes that all calls had to read and write, each once; 0 where unknown */
} ds_profile_entry;

/* Switching on clears. Costs two clock reads a launch. */
DS_API ds_status ds_session_profile(ds_session *session, int on, ds_error *error);
/* One entry a launch or operator of the model; DS_BAD_ARGUMENT past the end or where profiling was never on. */
DS_API ds_status ds_session_profile_entry(const ds_session *session, size_t index, ds_profile_entry *entry);

#ifdef __cplusplus
}
#endif
#endif
