"""Philox4x32-10 in NumPy, from its paper (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
and what ds draws with it (docs/Dialects/ds.md: ds.random_key, ds.random)."""

from __future__ import annotations

import numpy as np

MASK = np.uint64(0xFFFFFFFF)


def philox(counter: list, key: list[int]) -> list[np.ndarray]:
    """Four words for each counter; words are arrays of uint64 below 2^32."""
    c = [np.atleast_1d(np.asarray(word, np.uint64)) for word in counter]
    k = [int(word) for word in key]
    for _ in range(10):
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (second >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]),
            second & MASK,
            (first >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]),
            first & MASK,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def halves(number: int) -> list[int]:
    number %= 1 << 64
    return [number & 0xFFFFFFFF, number >> 32]


def random_key(seed: int, run: int, stream: int) -> int:
    words = philox([*halves(run), *halves(stream)], halves(seed))
    return int(words[0][0]) | int(words[1][0]) << 32


def numbers(key: int, count: int, word: int = 0) -> np.ndarray:
    """word[c][i mod 4] of elements 0 to count."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    words = philox(
        [blocks & MASK, blocks >> np.uint64(32), np.full_like(blocks, word), np.zeros_like(blocks)], halves(key)
    )
    return np.stack(words, 1).ravel()[:count]


def uniform(key: int, shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    count = int(np.prod(shape))
    high = numbers(key, count)
    if np.dtype(dtype) == np.float32:
        return ((high >> np.uint64(8)) * 2.0**-24).astype(np.float32).reshape(shape)
    bits = (high << np.uint64(21)) | (numbers(key, count, 1) >> np.uint64(11))
    return (bits * 2.0**-53).reshape(shape)


def normal(key: int, shape: tuple[int, ...]) -> np.ndarray:
    """In float64, of float32's words: what float32 should be near to."""
    count = int(np.prod(shape))
    high = numbers(key, -(-count // 4) * 4).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log(((high[:, 0] >> np.uint64(1)) + 0.5) * 2.0**-31))
    angle = 2 * np.pi * ((high[:, 1] >> np.uint64(8)) * 2.0**-24)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return pairs.ravel()[:count].reshape(shape)
