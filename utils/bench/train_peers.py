"""Training steps of the recorded models in PyTorch and JAX, timed: `train_peers.py PEER MODEL DATA.npz THREADS SECONDS RUNS`.

PEER is torch, torch.compile or jax. DATA has the parameters under the models' own names, `x`, `target` and the optimizer's
settings. Prints one line of JSON: the median of the steps' times, the first loss (a check that all compute the same), and
of JAX what `memory_analysis()` says. Runs in an environment of its own, with nothing of this repository."""

import json
import os
import statistics
import sys
import time

import numpy as np

BLOCKS = [(layer, block) for layer in (1, 2, 3, 4) for block in (0, 1)]
HEADS = 4


def settings(data) -> dict:
    return {key: float(data["optimizer." + key]) for key in ("lr", "momentum", "beta1", "beta2", "eps", "weight_decay")}


def timed(step, seconds: float, runs: int) -> tuple[list[float], float]:
    first = step()
    start = time.perf_counter()
    for _ in range(50):
        step()
        if time.perf_counter() - start > seconds / 3:
            break
    times = []
    start = time.perf_counter()
    while len(times) < runs and (len(times) < 5 or time.perf_counter() - start < seconds):
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1000)
    return times, first


# PyTorch


def torch_model(name: str, layers: int, torch):
    nn, functional = torch.nn, torch.nn.functional

    class Digits(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
            self.f1, self.f2 = nn.Linear(512, 128), nn.Linear(128, 10)

        def forward(self, x):
            x = functional.max_pool2d(self.c2(self.c1(x).relu()).relu(), 2)
            return self.f2(self.f1(x.flatten(1)).relu())

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
            return (y + (self.downsample(x) if self.downsample is not None else x)).relu()

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
            width = 64
            for layer in (1, 2, 3, 4):
                outputs = 32 << layer
                blocks = [Block(width, outputs, 1 if layer == 1 else 2), Block(outputs, outputs, 1)]
                setattr(self, f"layer{layer}", nn.Sequential(*blocks))
                width = outputs
            self.fc = nn.Linear(512, 10)

        def forward(self, x):
            x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(x.mean((2, 3)))

    class Transformer(nn.Module):
        def __init__(self, width=256):
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            n, s, width = x.shape
            parts = self.qkv(self.ln1(x)).split(width, 2)
            q, k, v = (part.view(n, s, HEADS, width // HEADS).transpose(1, 2) for part in parts)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).reshape(n, s, width))
            return x + self.down(functional.gelu(self.up(self.ln2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(256, 256), nn.Embedding(128, 256)
            self.blocks = nn.ModuleList(Transformer() for _ in range(layers))
            self.ln = nn.LayerNorm(256)

        def forward(self, ids):
            x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
            for block in self.blocks:
                x = block(x)
            return self.ln(x) @ self.wte.weight.T

    class Bilstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.o = nn.Embedding(256, 64), nn.Linear(128, 256)
            self.l = nn.LSTM(64, 64, bidirectional=True, batch_first=True)

        def forward(self, ids):
            return self.o(self.l(self.e(ids))[0])

    return {"digits_cnn": Digits, "resnet18_train": ResNet, "gpt_mini": Gpt, "bilstm_mini": Bilstm}[name]()


def torch_step(name: str, data, threads: int, compiled: bool):
    import torch

    torch.set_num_threads(threads)
    known = {key: torch.from_numpy(data[key]) for key in data.files if not key.startswith(("optimizer.", "data."))}
    model = torch_model(name, sum(key.endswith("qkv.weight") for key in known), torch)
    own = {key: value for key, value in known.items() if key in model.state_dict()}
    missing = model.load_state_dict(own, strict=False)
    left = [key for key in missing.missing_keys if not key.endswith(("num_batches_tracked", "head.weight"))]
    if left or len(own) != len(known):
        raise RuntimeError(f"parameters differ: {left}, {sorted(set(known) - set(own))}")
    model.train()
    s = settings(data)
    if str(data["optimizer.name"]) == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), s["lr"], s["momentum"], fused=True)
    else:
        betas = (s["beta1"], s["beta2"])
        optimizer = torch.optim.AdamW(model.parameters(), s["lr"], betas, s["eps"], s["weight_decay"], fused=True)
    x, target = torch.from_numpy(data["data.x"]), torch.from_numpy(data["data.target"])

    def loss_of(x, target):
        logits = model(x)
        return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))

    if compiled:
        loss_of = torch.compile(loss_of)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, target)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step, {}


# JAX


def jax_models(jax, jnp, lax):
    def conv(x, w, stride=1, pad=1):
        # HWIO filters and channels last are what XLA's CPU kernels take.
        return lax.conv_general_dilated(
            x, w, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def pool(x, size, stride, pad):
        window, steps, pads = (1, size, size, 1), (1, stride, stride, 1), ((0, 0), (pad, pad), (pad, pad), (0, 0))
        return lax.reduce_window(x, -jnp.inf, lax.max, window, steps, pads)

    def digits(p, state, x):
        x = x.transpose(0, 2, 3, 1)
        x = jax.nn.relu(conv(x, p["c1.weight"]) + p["c1.bias"])
        x = pool(jax.nn.relu(conv(x, p["c2.weight"]) + p["c2.bias"]), 2, 2, 0)
        x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        x = jax.nn.relu(x @ p["f1.weight"].T + p["f1.bias"])
        return x @ p["f2.weight"].T + p["f2.bias"], state

    def resnet(p, state, x):
        new = dict(state)

        def norm(x, name):
            mean = x.mean((0, 1, 2))
            variance = ((x - mean) ** 2).mean((0, 1, 2))
            count = x.size // x.shape[-1]
            for key, value in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
                new[f"{name}.{key}"] = 0.9 * state[f"{name}.{key}"] + 0.1 * value
            return (x - mean) * lax.rsqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]

        x = jax.nn.relu(norm(conv(x.transpose(0, 2, 3, 1), p["conv1.weight"], 2, 3), "bn1"))
        x = pool(x, 3, 2, 1)
        for layer, block in BLOCKS:
            name, stride = f"layer{layer}.{block}.", 2 if layer > 1 and block == 0 else 1
            y = jax.nn.relu(norm(conv(x, p[name + "conv1.weight"], stride), name + "bn1"))
            y = norm(conv(y, p[name + "conv2.weight"]), name + "bn2")
            if stride == 2:
                x = norm(conv(x, p[name + "downsample.0.weight"], 2, 0), name + "downsample.1")
            x = jax.nn.relu(x + y)
        return x.mean((1, 2)) @ p["fc.weight"].T + p["fc.bias"], new

    def layer_norm(x, p, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]

    def gpt(p, state, ids):
        n, s = ids.shape
        x = p["wte.weight"][ids] + p["wpe.weight"][:s]
        width = x.shape[-1]
        seen = jnp.tril(jnp.ones((s, s), bool))
        for layer in range(sum(key.endswith("qkv.weight") for key in p)):
            name = f"blocks.{layer}."

            def linear(x, part, name=name):
                return x @ p[name + part + ".weight"].T + p[name + part + ".bias"]

            q, k, v = jnp.split(linear(layer_norm(x, p, name + "ln1"), "qkv"), 3, -1)
            q, k, v = (part.reshape(n, s, HEADS, width // HEADS).transpose(0, 2, 1, 3) for part in (q, k, v))
            scores = jnp.where(seen, q @ k.transpose(0, 1, 3, 2) * (width // HEADS) ** -0.5, -jnp.inf)
            y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, s, width)
            x = x + linear(y, "proj")
            x = x + linear(jax.nn.gelu(linear(layer_norm(x, p, name + "ln2"), "up"), approximate=True), "down")
        return layer_norm(x, p, "ln") @ p["wte.weight"].T, state

    def bilstm(p, state, ids):
        x = p["e.weight"][ids].transpose(1, 0, 2)

        def direction(suffix, reverse):
            inputs = x @ p["l.weight_ih_l0" + suffix].T + p["l.bias_ih_l0" + suffix] + p["l.bias_hh_l0" + suffix]
            weights = p["l.weight_hh_l0" + suffix].T

            def cell(carry, gates):
                h, c = carry
                i, f, g, o = jnp.split(gates + h @ weights, 4, -1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            zero = jnp.zeros((x.shape[1], weights.shape[0]), x.dtype)
            return lax.scan(cell, (zero, zero), inputs, reverse=reverse)[1]

        y = jnp.concatenate([direction("", False), direction("_reverse", True)], -1).transpose(1, 0, 2)
        return y @ p["o.weight"].T + p["o.bias"], state

    return {"digits_cnn": digits, "resnet18_train": resnet, "gpt_mini": gpt, "bilstm_mini": bilstm}


def jax_step(name: str, data, threads: int):
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    from jax import lax

    forward = jax_models(jax, jnp, lax)[name]
    s, adam = settings(data), str(data["optimizer.name"]) != "sgd"
    known = {key: data[key] for key in data.files if not key.startswith(("optimizer.", "data."))}
    state = {key: jnp.asarray(value) for key, value in known.items() if "running_" in key}
    parameters = {
        key: jnp.asarray(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)
        for key, value in known.items()
        if key not in state and not key.endswith("head.weight")
    }
    zeros = {key: jnp.zeros_like(value) for key, value in parameters.items()}
    moments = (zeros, {key: jnp.zeros_like(value) for key, value in parameters.items()}) if adam else (zeros,)
    if not adam and s["momentum"] == 0:
        moments = ()
    x, target = jnp.asarray(data["data.x"]), jnp.asarray(data["data.target"])

    def loss_of(p, state, x, target):
        logits, state = forward(p, state, x)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], -1)
        return -chosen.mean(), state

    def step(p, state, moments, number, x, target):
        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(p, state, x, target)
        new, kept = {}, tuple({} for _ in moments)
        for key, g in gradients.items():
            if adam:
                m = s["beta1"] * moments[0][key] + (1 - s["beta1"]) * g
                v = s["beta2"] * moments[1][key] + (1 - s["beta2"]) * g * g
                kept[0][key], kept[1][key] = m, v
                root = jnp.sqrt(v) / jnp.sqrt(1 - s["beta2"] ** number) + s["eps"]
                new[key] = p[key] * (1 - s["lr"] * s["weight_decay"]) - s["lr"] / (1 - s["beta1"] ** number) * m / root
            elif moments:
                kept[0][key] = s["momentum"] * moments[0][key] + g
                new[key] = p[key] - s["lr"] * kept[0][key]
            else:
                new[key] = p[key] - s["lr"] * g
        return loss, new, state, kept

    made = jax.jit(step, donate_argnums=(0, 1, 2)).lower(parameters, state, moments, 1.0, x, target).compile()
    memory = made.memory_analysis()
    carried = [parameters, state, moments, 0]

    def run():
        carried[3] += 1
        loss, *carried[:3] = made(carried[0], carried[1], carried[2], float(carried[3]), x, target)
        return float(loss)

    sizes = {"arguments_bytes": memory.argument_size_in_bytes, "temporaries_bytes": memory.temp_size_in_bytes}
    return run, sizes


def main() -> int:
    peer, name, path, threads, seconds, runs = sys.argv[1:]
    # As many processors as threads: what a framework starts besides does not help it.
    processors = sorted(os.sched_getaffinity(0))[: int(threads)]
    os.sched_setaffinity(0, processors)
    with np.load(path) as file:
        data = file
        if peer == "jax":
            step, extra = jax_step(name, data, int(threads))
        else:
            step, extra = torch_step(name, data, int(threads), compiled=peer == "torch.compile")
        times, loss = timed(step, float(seconds), int(runs))
    print(json.dumps({"median_ms": statistics.median(times), "min_ms": min(times), "loss": loss, **extra}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
