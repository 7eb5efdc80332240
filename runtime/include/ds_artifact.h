/*===- ds_artifact.h - The file format of compiled models -----------------===*
 * Assumes: a 64-bit little-endian ELF file (executable or shared library) as a linker wrote it, whose code defines
 *          DS_PROGRAM_SYMBOL (ds_kernel.h), with the two sections below appended to it.
 * Guarantees: every offset, length, count and index can be checked from the metadata alone, before any code of the
 *             file runs; the layout is the same on every machine; unknown tables and longer entries are skipped.
 * Declines: trust. Code in an artifact can do what any program can; checksums find damage, not forgery.
 *
 * Section .ds.meta (not loaded by the dynamic linker): one ds_artifact_header, then table_count descriptors of type
 * ds_artifact_table, then the tables. A program that was compiled for several CPUs has all of that once for each, one
 * after another, the most capable first: its variants. The runtime runs the first one whose features the machine has.
 * They share the weights, each with the whole section's length and checksum. Section .ds.weights (not loaded,
 * page-aligned in the file): the weights, each at a multiple of DS_ARTIFACT_WEIGHT_ALIGNMENT. The runtime maps that
 * part of the file read-only, so that all processes share it. docs/Artifact.md explains the format in prose.
 *===----------------------------------------------------------------------===*/
#ifndef DS_ARTIFACT_H
#define DS_ARTIFACT_H

#include <stdint.h>

#define DS_ARTIFACT_META_SECTION ".ds.meta"
#define DS_ARTIFACT_WEIGHTS_SECTION ".ds.weights"
#define DS_ARTIFACT_MAGIC                                                                                              \
  "\x89"                                                                                                               \
  "dsmeta\n"
#define DS_ARTIFACT_VERSION 5
#define DS_ARTIFACT_WEIGHT_ALIGNMENT 64
/* An absolute symbol whose address is ds_artifact_program.code_id: ties loaded code to the metadata it came with. */
#define DS_ARTIFACT_ID_SYMBOL "ds_program_id"
#define DS_ARTIFACT_MAX_RANK 64

/* 8-byte aligned in memory and in the file. */
typedef struct ds_artifact_header {
  char magic[8];
  uint32_t version;     /* DS_ARTIFACT_VERSION; a reader refuses another one */
  uint32_t table_count; /* descriptors that follow this header */
  uint64_t length;      /* of all metadata in bytes, this header included; a multiple of 8 */
  uint64_t hash;        /* XXH64 of all `length` bytes with this field as zero */
} ds_artifact_header;

/* Where the entries of one kind are. Each kind at most once. */
typedef struct ds_artifact_table {
  uint32_t kind;       /* DS_TABLE_*; others are skipped, but those with DS_TABLE_REQUIRED refused */
  uint32_t entry_size; /* at least that of the struct below; a multiple of 8 but for strings */
  uint64_t offset;     /* from the header's first byte; a multiple of 8 */
  uint64_t count;
} ds_artifact_table;

enum {
  DS_TABLE_STRINGS = 1,    /* bytes; texts point into it */
  DS_TABLE_PROGRAM = 2,    /* one ds_artifact_program */
  DS_TABLE_FEATURES = 3,   /* ds_artifact_text: LLVM's names of CPU features that the code needs */
  DS_TABLE_SYMBOLS = 4,    /* ds_artifact_symbol */
  DS_TABLE_DIMENSIONS = 5, /* ds_artifact_dimension: those of all inputs and outputs, one after another */
  DS_TABLE_INPUTS = 6,     /* ds_artifact_tensor */
  DS_TABLE_OUTPUTS = 7,    /* ds_artifact_tensor */
  DS_TABLE_CONSTRAINTS =
      8,                  /* ds_artifact_text: what must hold; `sizes` returns 1 + the index of the one that does not */
  DS_TABLE_BUFFERS = 9,   /* ds_artifact_buffer, in the order of ds_program_host.buffers */
  DS_TABLE_KERNELS = 10,  /* ds_artifact_kernel */
  DS_TABLE_LAUNCHES = 11, /* ds_artifact_launch, numbered as `node` of ds_program_host.launch */
  DS_TABLE_PROPERTIES = 12,      /* ds_artifact_property: the source model's own metadata */
  DS_TABLE_BOUND = 13,           /* ds_artifact_bound: symbols that are read while the program runs */
  DS_TABLE_STAGES = 14,          /* ds_artifact_stage, at least one */
  DS_TABLE_CALLS = 15,           /* ds_artifact_call, in the order of the stages that they end */
  DS_TABLE_OPERANDS = 16,        /* ds_artifact_operand: those of all calls */
  DS_TABLE_ARGUMENTS = 17,       /* ds_artifact_number: symbols given to bodies */
  DS_TABLE_BODIES = 18,          /* ds_artifact_body: programs that calls run; only the outermost program has them */
  DS_TABLE_BODY_BYTES = 19,      /* bytes: the metadata of bodies, each at a multiple of 8 */
  DS_TABLE_WEIGHTS_FILE = 20,    /* at most one ds_artifact_weights_file: then there is no section of weights */
  DS_TABLE_CODE = 21,            /* at most one ds_artifact_code */
  DS_TABLE_ATTRIBUTES = 22,      /* ds_artifact_attribute: those of all custom operators' nodes */
  DS_TABLE_ATTRIBUTE_BYTES = 23, /* bytes: what attributes hold */
  DS_TABLE_DONATIONS = 24,       /* ds_artifact_donation */
  DS_TABLE_DEVICES = 25,         /* ds_artifact_device: the memory spaces beside the host's, from 1 on */
  DS_TABLE_DEVICE_CODE = 26,     /* ds_artifact_device_code */
  DS_TABLE_DEVICE_BYTES = 27,    /* bytes: code of devices, each at a multiple of 8 */
  DS_TABLE_COLLECTIVES = 28,     /* ds_artifact_collective */
  DS_TABLE_VERSIONS = 30,        /* ds_artifact_version; only the outermost program has them */
  DS_TABLE_GUARDS = 31,          /* ds_artifact_guard: those of all versions */
  DS_TABLE_FIXED_INPUTS = 33,    /* ds_artifact_text: inputs of the source model that are constants of the program */
  DS_TABLE_EXPORT = 34           /* bytes: what a training step's source model was; see below */
};
/* A bit of the kind of tables without which the rest means something else: a reader that does not know one refuses the
 * artifact. */
#define DS_TABLE_REQUIRED 0x80000000u
/* ds_artifact_default. Guards may be DS_GUARD_LEFT_OUT where it is there; only the outermost program has it. */
#define DS_TABLE_DEFAULTS (DS_TABLE_REQUIRED | 32)

/* The table DS_TABLE_EXPORT of a training step holds the source model without its parameters: a length (uint64_t), that
 * many bytes A, and the rest of the table, B. The ONNX file of the trained model is A (fields of ModelProto without the
 * graph), then field 7, the graph: B (fields of GraphProto), followed by one initializer, field 5, for each parameter
 * and other state of the model, under the name of its input. */

/* Element types, as in ds_tensor.dtype: DS_BOOL, DS_FLOAT32, ... ds_types.def lists and explains them. */
enum {
#define DS_ELEMENT_TYPE(constant, number, ...) DS_##constant = number,
#include "ds_types.def"
#undef DS_ELEMENT_TYPE
};

/* What kind of device memory belongs to, with DLPack's numbers (DLDeviceType). */
enum {
  DS_DEVICE_CPU = 1,
  DS_DEVICE_CUDA = 2,
  DS_DEVICE_CUDA_HOST = 3 /* the host's, locked in memory for a CUDA device */
};

/* length bytes at offset of the string table, free of NUL and followed by one. */
typedef struct ds_artifact_text {
  uint32_t offset;
  uint32_t length;
} ds_artifact_text;

enum {
  DS_NUMBER_CONSTANT = 0, /* value itself, not negative */
  DS_NUMBER_VALUE = 1,    /* value number `value` of ds_program_code.sizes */
  DS_NUMBER_SYMBOL = 2,   /* symbol number `value`: those of the symbol table, then the bound ones */
  DS_NUMBER_NONE = 3      /* not known */
};

typedef struct ds_artifact_number {
  uint32_t kind;
  uint32_t reserved;
  int64_t value;
} ds_artifact_number;

typedef struct ds_artifact_program {
  ds_artifact_text triple;   /* target triple the code was compiled for */
  ds_artifact_text cpu;      /* target CPU, for display */
  ds_artifact_text compiler; /* version of the compiler, for display */
  uint32_t kernel_abi;       /* DS_KERNEL_ABI_VERSION of the code */
  uint32_t reserved;
  uint64_t value_count;    /* elements that `sizes` writes */
  uint64_t code_id;        /* see DS_ARTIFACT_ID_SYMBOL */
  uint64_t weights_length; /* of the weights section in bytes */
  uint64_t weights_hash;   /* XXH64 of it; checked on demand */
} ds_artifact_program;

/* A number that runs may choose. It is read from one dimension of one input, whose entry of the dimension table is
 * DS_NUMBER_SYMBOL with this symbol; or it is given: by the call that runs this body, and to the outermost program,
 * with its versions, by the session (ds_session_set_symbol). */
typedef struct ds_artifact_symbol {
  ds_artifact_text name;    /* unique */
  ds_artifact_text display; /* as the source model spells it */
  uint32_t input;           /* DS_ARTIFACT_GIVEN: given */
  uint32_t dimension;
} ds_artifact_symbol;
#define DS_ARTIFACT_GIVEN UINT32_MAX

/* A size that depends on data: element `element` of a buffer, which the launches before the stage that first uses it
 * have written, or dimension `element` of what the call that ended the stage before made. A negative one ends the
 * run. */
typedef struct ds_artifact_bound {
  ds_artifact_text name;   /* unique, of symbols too */
  ds_artifact_text source; /* as in diagnostics */
  uint32_t buffer;         /* or the number of the operand (an output) of the call */
  uint32_t dtype;          /* DS_INT32 or DS_INT64, or 0: a dimension of an operand */
  uint64_t element;
} ds_artifact_bound;

/* A part of the program whose sizes are all known when it begins. A stage ends where bound symbols are read, or with a
 * call. */
typedef struct ds_artifact_stage {
  uint64_t symbol_count;      /* symbols known to it: a prefix of all, that of the first stage without bound ones */
  uint64_t value_count;       /* values known to it: a prefix of all */
  uint64_t first_launch;      /* 0 in the first stage; its last launch is the one before the next stage's first */
  ds_artifact_number scratch; /* bytes of scratch memory a worker thread needs; none = 0 */
} ds_artifact_stage;

typedef struct ds_artifact_dimension {
  ds_artifact_number size; /* not DS_NUMBER_NONE */
  ds_artifact_text text;   /* "N", "2*N+1", "3" */
} ds_artifact_dimension;

typedef struct ds_artifact_tensor {
  ds_artifact_text name;
  uint32_t dtype;
  uint32_t rank;            /* at most DS_ARTIFACT_MAX_RANK */
  uint64_t first_dimension; /* in the dimension table */
  uint32_t space;           /* where it is wanted, or made: DS_SPACE_HOST, or 1 + the number of a device */
  uint32_t reserved;
} ds_artifact_tensor;
#define DS_SPACE_HOST 0

/* The output is made in the memory of the input, of the same type and, in every run, the same dimensions: state that a
 * run updates. Each input and output is part of one donation at most; only the outermost program has them, and its
 * versions the same ones. */
typedef struct ds_artifact_donation {
  uint32_t input;
  uint32_t output;
  uint32_t in_place; /* DS_DONATION_... */
  uint32_t reserved;
} ds_artifact_donation;

enum {
  DS_DONATION_COPIED = 0,   /* the runtime copies the output to the input's memory when all is done */
  DS_DONATION_IN_PLACE = 1, /* nothing reads the input's old value once the output is written: both are one memory */
  DS_DONATION_UNCHANGED = 2 /* the output is the input: nothing writes either */
};

/* A device that the program runs parts of itself on, with memory of its own. A reader without code for it refuses the
 * program, and takes another variant where one needs less. */
typedef struct ds_artifact_device {
  uint32_t type; /* DS_DEVICE_CUDA, ... */
  uint32_t reserved;
  ds_artifact_text target; /* "sm_90a" */
} ds_artifact_device;

enum {
  DS_DEVICE_CODE_PTX = 1,  /* text, followed by a NUL */
  DS_DEVICE_CODE_CUBIN = 2 /* a module of the device's own */
};

/* Kernels for a device; of several entries for one device the first that it takes. */
typedef struct ds_artifact_device_code {
  uint32_t device; /* in the table of devices */
  uint32_t form;   /* DS_DEVICE_CODE_* */
  uint64_t offset; /* in DS_TABLE_DEVICE_BYTES, a multiple of 8 */
  uint64_t length;
} ds_artifact_device_code;

/* Communication between the ranks of a program that several processes run: seats for its description. A reader without
 * a transport refuses the program. */
typedef struct ds_artifact_collective {
  uint32_t kind; /* all-reduce, ... */
  uint32_t launch;
  uint32_t dtype;
  uint32_t reserved;
  ds_artifact_text group; /* the axes of the mesh */
} ds_artifact_collective;

enum {
  DS_BUFFER_INPUT = 1,     /* index: the input */
  DS_BUFFER_OUTPUT = 2,    /* index: the output; launch first_launch writes it first */
  DS_BUFFER_WEIGHT = 3,    /* offset and length in the weights section */
  DS_BUFFER_TEMPORARY = 4, /* size bytes, which launches first_launch..last_launch (both included) use */
  DS_BUFFER_RESULT = 5     /* what a call made: the memory of its body's output, or its own */
};

typedef struct ds_artifact_buffer {
  uint32_t kind;
  uint32_t index;
  uint64_t offset;
  uint64_t length;
  ds_artifact_number size;
  uint32_t first_launch;
  uint32_t last_launch;
  uint32_t space; /* DS_SPACE_HOST, or 1 + the number of a device; of inputs and outputs that of the tensor */
  uint32_t dtype; /* of an output or temporary that a launch writes (as a whole): that of its elements, if they are
                   * floats; otherwise 0 */
} ds_artifact_buffer;

typedef struct ds_artifact_kernel {
  ds_artifact_text name;   /* symbol of its function, for profilers */
  ds_artifact_text source; /* names of the model's nodes that it computes */
} ds_artifact_kernel;

typedef struct ds_artifact_launch {
  uint32_t kernel;
  uint32_t reserved;
  ds_artifact_text source;  /* as in diagnostics: "node 'foo' (Conv)", ... */
  ds_artifact_number flops; /* floating-point operations */
  ds_artifact_number bytes; /* bytes that must be read and written */
} ds_artifact_launch;

/* A program that calls run: its metadata lies in the body table's bytes, in the same format, without a program's texts,
 * features, properties, bodies and weights file. It shares the weights. */
typedef struct ds_artifact_body {
  uint64_t offset; /* in DS_TABLE_BODY_BYTES, a multiple of 8 */
  uint64_t length;
} ds_artifact_body;

/* A body that takes the program's place in a run that fits all its guards: the same inputs and outputs, with some
 * dimensions, or the values of some inputs, known. The first one that fits is taken. */
typedef struct ds_artifact_version {
  uint32_t body;
  uint32_t guard_count;
  uint64_t first_guard;
} ds_artifact_version;

enum {
  DS_GUARD_SIZE = 0,    /* a symbol has this size */
  DS_GUARD_LEFT_OUT = 1 /* the run leaves an input out, which has a default */
};

typedef struct ds_artifact_guard {
  uint32_t subject; /* number of the symbol, or of the input */
  uint32_t kind;    /* DS_GUARD_* */
  int64_t size;     /* 0 for an input */
} ds_artifact_guard;

/* What an input is in a run that leaves it out: a tensor of its type and rank. Its elements are a weight, or, of
 * strings, a list of ds_artifact_bytes in the table of attributes' bytes. */
typedef struct ds_artifact_default {
  uint32_t input; /* each at most once */
  uint32_t reserved;
  uint64_t first_dimension; /* in the dimension table; all are constants */
  uint64_t offset;          /* in the weights section, or a multiple of 8 in DS_TABLE_ATTRIBUTE_BYTES */
  uint64_t length;          /* in bytes, or how many strings */
} ds_artifact_default;

/* A tensor that a call takes or makes. One that the node of a custom operator leaves out has DS_ARTIFACT_NO_BUFFER, and
 * type and rank 0. */
typedef struct ds_artifact_operand {
  uint32_t buffer;
  uint32_t dtype;
  uint32_t rank;
  uint32_t reserved;
  uint64_t first_dimension; /* in the dimension table */
} ds_artifact_operand;

enum {
  DS_CALL_BRANCH = 1, /* bodies[0] on the first `split` inputs if the condition holds, else bodies[1] on the others */
  DS_CALL_LOOP = 2,   /* bodies[0], again and again: see ds_artifact_call */
  DS_CALL_CUSTOM = 3  /* an operator that the program brings along which runs the model */
};

/* What an attribute of a custom operator's node is. */
enum {
  DS_ATTRIBUTE_INT = 1,
  DS_ATTRIBUTE_FLOAT = 2,
  DS_ATTRIBUTE_STRING = 3,
  DS_ATTRIBUTE_INTS = 4,
  DS_ATTRIBUTE_FLOATS = 5,
  DS_ATTRIBUTE_STRINGS = 6,
  DS_ATTRIBUTE_TENSOR = 7
};

/* `count` values lie in the table of attributes' bytes: int64_t, float, or ds_artifact_bytes; one where the kind is
 * that of a single value. Those of a tensor are its dimensions (int64_t); its elements are a weight. */
typedef struct ds_artifact_attribute {
  ds_artifact_text name; /* unique in its call */
  uint32_t kind;
  uint32_t dtype;  /* of a tensor */
  uint64_t offset; /* in DS_TABLE_ATTRIBUTE_BYTES, a multiple of 8 */
  uint64_t count;
  uint64_t weight_offset; /* of a tensor's elements in the weights section */
  uint64_t weight_length;
} ds_artifact_attribute;

/* A string in the table of attributes' bytes, followed by a NUL; it may hold others. */
typedef struct ds_artifact_bytes {
  uint64_t offset;
  uint64_t length;
} ds_artifact_bytes;

/* Runs bodies, or a custom operator, at the end of a stage. The body of a branch takes its inputs and makes the
 * outputs. The body of a loop takes the iteration's number (an int64 without dimensions), the state (the first `split`
 * inputs) and the other inputs; it makes a bool without dimensions (whether to go on), the next state, and one value
 * for each further output, which collects them along a new first dimension. A custom operator has no bodies, and its
 * results memory of its own. */
typedef struct ds_artifact_call {
  uint32_t kind;
  uint32_t stage;       /* that it ends; not the last one */
  uint32_t bodies[2];   /* each after the body that the call is in; a loop has one */
  uint32_t trips;       /* buffer with the number of iterations; DS_ARTIFACT_NO_BUFFER: without end */
  uint32_t condition;   /* buffer of a bool; DS_ARTIFACT_NO_BUFFER (loops): true */
  uint32_t trips_dtype; /* DS_INT32 or DS_INT64 */
  uint32_t split;
  uint64_t first_operand; /* inputs, then outputs */
  uint32_t input_count;
  uint32_t output_count;
  uint64_t first_argument[2]; /* for each body: the values of its given symbols, in their order */
  uint32_t argument_count[2];
  ds_artifact_text source; /* as in diagnostics */
  ds_artifact_text name;   /* of a custom operator, as the session knows it, and of its domain */
  ds_artifact_text domain;
  uint64_t first_attribute;
  uint64_t attribute_count;
} ds_artifact_call;
#define DS_ARTIFACT_NO_BUFFER UINT32_MAX

typedef struct ds_artifact_property {
  ds_artifact_text key;
  ds_artifact_text value;
} ds_artifact_property;

/* The linked file that the rest was appended to. Checked before the dynamic linker sees a library artifact. */
typedef struct ds_artifact_code {
  uint64_t length;
  uint64_t hash; /* XXH64 of the file's first `length` bytes with e_shoff and e_shnum of the ELF header as zero */
} ds_artifact_code;

/* Weights past 2 GB lie in a safetensors file in the artifact's own folder (a linked-in model: the program's). Their
 * first byte follows that file's header; offsets of buffers count from there. */
typedef struct ds_artifact_weights_file {
  ds_artifact_text name; /* without '/' */
  uint64_t offset;       /* of the first weight, a multiple of 4096 */
  uint64_t header_hash;  /* XXH64 of the bytes before it, which hold weights_hash as text */
} ds_artifact_weights_file;

/* What an object file (--emit=object) defines, under the name ds_model_<stem of the file's name>. The program's own
 * file is mapped by the operating system, weights and all; nothing is looked up at run time. */
#define DS_EMBEDDED_VERSION 1
#define DS_EMBEDDED_PREFIX "ds_model_"
struct ds_program_code;
typedef struct ds_embedded_model {
  uint64_t version; /* DS_EMBEDDED_VERSION */
  const struct ds_program_code *code;
  const void *metadata; /* of all variants, as in DS_ARTIFACT_META_SECTION, 8-byte aligned */
  uint64_t metadata_size;
  const void *weights; /* aligned to DS_ARTIFACT_WEIGHT_ALIGNMENT; NULL without weights */
  uint64_t weights_size;
} ds_embedded_model;

#endif
