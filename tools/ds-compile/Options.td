//===- Options.td - The flags of ds-compile -------------------------------===//
// LLVM's global option registry is not used: its own libraries fill it with hundreds of flags (a --stop-after among them).
//===----------------------------------------------------------------------===//

include "llvm/Option/OptParser.td"

class Both<string name, string help> : Flag<["--", "-"], name>, HelpText<help>;

def grp_output : OptionGroup<"output">, HelpText<"OUTPUT">;
def grp_target : OptionGroup<"target">, HelpText<"TARGET AND SHAPES">;
def grp_train : OptionGroup<"train">, HelpText<"TRAINING">;
def grp_cache : OptionGroup<"cache">, HelpText<"COMPILING AGAIN">;
def grp_inside : OptionGroup<"inside">, HelpText<"LOOKING INSIDE">;
def grp_other : OptionGroup<"other">, HelpText<"OTHER">;

def o : JoinedOrSeparate<["-"], "o">, MetaVarName<"<file>">, Group<grp_output>,
  HelpText<"Write to <file> (default: the model's name without suffix)">;
def emit_EQ : Joined<["--", "-"], "emit=">, MetaVarName<"<kind>">, Values<"executable,library,object">, Group<grp_output>,
  HelpText<"executable (default): a program; library: a .so for the runtime's C interface; object: a .o to link statically">;
def emit : Separate<["--", "-"], "emit">, Alias<emit_EQ>;

def weights_EQ : Joined<["--", "-"], "weights=">, MetaVarName<"<place>">, Values<"auto,inside,beside">, Group<grp_output>,
  HelpText<"auto (default: beside past 2 GB); inside: in the artifact; beside: in <file>.safetensors">;

def target_EQ : Joined<["--", "-"], "target=">, MetaVarName<"<machine>">, Group<grp_target>,
  HelpText<"The machine: x86_64-linux-gnu or aarch64-linux-gnu (default: this one); then its devices: cuda:sm_90a, ... (no code is generated for them yet)">;
def target : Separate<["--", "-"], "target">, Alias<target_EQ>;
def target_cpu_EQ : Joined<["--", "-"], "target-cpu=">, MetaVarName<"<cpu>">, Group<grp_target>,
  HelpText<"The CPU: znver4, x86-64-v3, cortex-a76, ... (default: native; generic with the --target of another architecture); of a list (znver4,x86-64-v3), loading chooses the best">;
def target_cpu : Separate<["--", "-"], "target-cpu">, Alias<target_cpu_EQ>;
def shape : Separate<["--", "-"], "shape">, MetaVarName<"N=1,S=128">, Group<grp_target>,
  HelpText<"Make dimensions static, by symbol (N=1) or by input and index (x:0=1)">;
def shape_EQ : Joined<["--", "-"], "shape=">, Alias<shape>;
def custom_ops : Separate<["--", "-"], "custom-ops">, MetaVarName<"<domain>,...">, Group<grp_target>,
  HelpText<"Operators of these domains are the program's that runs the model, which registers them">;
def custom_ops_EQ : Joined<["--", "-"], "custom-ops=">, Alias<custom_ops>;
def O : Joined<["-"], "O">, MetaVarName<"<0..3>">, Group<grp_target>, HelpText<"Optimization level (default: -O3)">;
def precision_EQ : Joined<["--", "-"], "precision=">, MetaVarName<"<type>">, Values<"fp32,fp64,bf16,fp16">, Group<grp_target>,
  HelpText<"fp32 (default): as the model says; fp64: all that it computes in fp32 in double precision, its inputs and outputs, too; bf16, fp16 (with --train): products in half precision">;
def precision : Separate<["--", "-"], "precision">, Alias<precision_EQ>;
def precise : Both<"precise", "No transformation that trades accuracy for speed: 3x3 convolutions without Winograd's algorithm">, Group<grp_target>;

def specialize_EQ : Joined<["--", "-"], "specialize=">, MetaVarName<"N=1,S=128">, Group<grp_target>,
  HelpText<"Add a version for these sizes, taken where an input has them; the general one stays (repeatable)">;
def specialize : Separate<["--", "-"], "specialize">, Alias<specialize_EQ>;
def donate_EQ : Joined<["--", "-"], "donate=">, MetaVarName<"<input>:<output>">, Group<grp_target>,
  HelpText<"Make an output in the memory of an input of the same type and dims: a state that runs update (repeatable)">;
def donate : Separate<["--", "-"], "donate">, Alias<donate_EQ>;
def optional_EQ : Joined<["--", "-"], "optional=">, MetaVarName<"<input>,...">, Group<grp_target>,
  HelpText<"Initializers that are inputs as well and that runs may give, or all, or none (default: where the model lists but some of its initializers as inputs, these) (repeatable)">;
def optional : Separate<["--", "-"], "optional">, Alias<optional_EQ>;
def force_static_EQ : Joined<["--", "-"], "force-static=">, MetaVarName<"<node>=<n>,...">, Group<grp_target>,
  HelpText<"State what a node's sizes follow from (of an If: 1 or 0); a run that computes otherwise is an error">;
def force_static : Separate<["--", "-"], "force-static">, Alias<force_static_EQ>;

def train : Both<"train", "Make a program that trains the model: see --help of what is made">, Group<grp_train>;
def loss_EQ : Joined<["--", "-"], "loss=">, MetaVarName<"<name>[:<key>=<value>,...]">, Group<grp_train>,
  HelpText<"cross_entropy (default; axis, ignore_index, label_smoothing), mse, l1, huber (delta), bce_with_logits: of the first output, or that of output=<name>, and the targets; or output (name): an output of the model">;
def loss : Separate<["--", "-"], "loss">, Alias<loss_EQ>;
def optimizer_EQ : Joined<["--", "-"], "optimizer=">, MetaVarName<"<name>[:<key>=<value>,...]">, Group<grp_train>,
  HelpText<"sgd (default; momentum, nesterov), adam, adamw (beta1, beta2, eps), lion (beta1, beta2); all have lr, weight_decay, decay=all|matrices and clip">;
def optimizer : Separate<["--", "-"], "optimizer">, Alias<optimizer_EQ>;
def schedule_EQ : Joined<["--", "-"], "schedule=">, MetaVarName<"<name>[:<key>=<value>,...]">, Group<grp_train>,
  HelpText<"Of the learning rate: constant (default), step (size, factor), linear (warmup, total), cosine (warmup, total, minimum)">;
def schedule : Separate<["--", "-"], "schedule">, Alias<schedule_EQ>;
def freeze_EQ : Joined<["--", "-"], "freeze=">, MetaVarName<"<pattern>">, Group<grp_train>,
  HelpText<"Leave parameters of such names as they are: *, ? and [a-z] stand for characters (repeatable)">;
def freeze : Separate<["--", "-"], "freeze">, Alias<freeze_EQ>;
def memory_budget_EQ : Joined<["--", "-"], "memory-budget=">, MetaVarName<"<amount>[:<dim>=<n>,...]">, Group<grp_train>,
  HelpText<"Let a step hold no more than this (2GiB, 300MB; parameters and states included) where dimensions have these sizes (and threads=<n>, default 1): what is made again then instead of being kept is told">;
def memory_budget : Separate<["--", "-"], "memory-budget">, Alias<memory_budget_EQ>;
def recompute_EQ : Joined<["--", "-"], "recompute=">, MetaVarName<"<pattern>">, Group<grp_train>,
  HelpText<"Compute what nodes of such names make again in the backward pass instead of keeping it (repeatable)">;
def recompute : Separate<["--", "-"], "recompute">, Alias<recompute_EQ>;

def cache_dir_EQ : Joined<["--", "-"], "cache-dir=">, MetaVarName<"<dir>">, Group<grp_cache>,
  HelpText<"Keep the code of kernels in <dir> and take it from there (default: $XDG_CACHE_HOME/ds or ~/.cache/ds)">;
def cache_dir : Separate<["--", "-"], "cache-dir">, Alias<cache_dir_EQ>;
def cache_size_EQ : Joined<["--", "-"], "cache-size=">, MetaVarName<"<MB>">, Group<grp_cache>,
  HelpText<"How much of it to keep (default: 512)">;
def cache_size : Separate<["--", "-"], "cache-size">, Alias<cache_size_EQ>;
def no_cache : Both<"no-cache", "Generate all code anew, and keep none">, Group<grp_cache>;

def explain_regions : Both<"explain-regions", "Print which nodes make the model dynamic, why, and what would make it static">,
  Group<grp_inside>;
def stop_after_EQ : Joined<["--", "-"], "stop-after=">, MetaVarName<"<phase>">, Group<grp_inside>,
  HelpText<"Print the IR after <phase> (to -o; default: standard output)">;
def stop_after : Separate<["--", "-"], "stop-after">, Alias<stop_after_EQ>;
def save_phases_EQ : Joined<["--", "-"], "save-phases=">, MetaVarName<"<dir>">, Group<grp_inside>,
  HelpText<"Write the IR after each phase into <dir>">;
def save_phases : Separate<["--", "-"], "save-phases">, Alias<save_phases_EQ>;
def no_reuse : Both<"no-reuse", "Give each tensor memory of its own: nothing is computed in place (finds faults of the compiler, with the program's --guard)">,
  Group<grp_inside>;
def timing : Both<"timing", "Print the time of each phase">, Group<grp_inside>;
def verbose : Both<"verbose", "Name each phase as it begins; print remarks">, Group<grp_inside>;
def in_process : Flag<["--"], "in-process">, Flags<[HelpHidden]>, Group<grp_inside>,
  HelpText<"Compile in this process, for debuggers: crashes are not caught">;

def help : Both<"help", "Print this">, Group<grp_other>;
def h : Flag<["-"], "h">, Alias<help>;
def version : Both<"version", "Print the versions of the compiler and of LLVM">, Group<grp_other>;
