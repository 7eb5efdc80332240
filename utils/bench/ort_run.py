"""Times ONNX Runtime: `ort_run.py MODEL INPUTS.npz RUNS THREADS` prints the line that a compiled program prints."""

import json
import resource
import sys
import time

import numpy as np
import onnxruntime


def main() -> int:
    model, inputs, runs, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with np.load(inputs) as file:
        arrays = {name: file[name] for name in file.files}
    # Inputs are bound once and outputs stay where the session puts them, so that only the model is timed.
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    start = time.perf_counter()
    for warmup in range(20):
        session.run_with_iobinding(binding)
        if warmup >= 2 and time.perf_counter() - start > 0.5:
            break
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        times.append((time.perf_counter() - start) * 1000)
    p95, p99 = (float(np.percentile(times, share)) for share in (95, 99))
    figures = {
        "median_ms": float(np.median(times)),
        "p95_ms": p95,
        "p99_ms": p99,
        "min_ms": min(times),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
