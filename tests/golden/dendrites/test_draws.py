"""The generators: words by steps, their rates and their spread, and their whole period."""

import numpy as np
import pytest
import torch

from spikeloop.golden.dendrites.draws import words32, words64
from spikeloop.pysim.dendrites.settings import SETTINGS

COUNT = 250_000
SHIFTS = {32: (13, 17, 5), 64: (13, 7, 17)}
PRIMES = {32: (3, 5, 17, 257, 65537), 64: (3, 5, 17, 257, 641, 65537, 6700417)}
"""Prime factors of 2^bits - 1."""


def step(word: int, bits: int) -> int:
    left, right, again = SHIFTS[bits]
    word ^= (word << left) % 2**bits
    word ^= word >> right
    return word ^ (word << again) % 2**bits


def test_words_are_those_of_single_steps() -> None:
    word, words = 0x9E3779B97F4A7C15, []
    starts = torch.tensor([1, 0xFFFFFFFF, 77])
    for _ in range(40):
        words.append(word := step(word, 64))
    assert words64(0x9E3779B97F4A7C15, 40).numpy().view(np.uint64).tolist() == words
    found = words32(starts, 40)
    for column, start in enumerate(starts.tolist()):
        for row in range(40):
            start = step(start, 32)
            assert found[row, column] == start


def test_every_threshold_has_its_rate(seed: int) -> None:
    fields = words64(2 * seed + 1, COUNT)[:, None] >> torch.tensor([0, 16, 32, 48]) & 0xFFFF
    drawn = np.sort(fields.reshape(-1).numpy())  # a million
    for threshold in (1, 20, 200, 655, 6000, 32768, 65000):
        p = threshold / 65536
        spikes = int(np.searchsorted(drawn, threshold))
        assert abs(spikes - p * drawn.size) < 4 * np.sqrt(p * (1 - p) * drawn.size) + 1, threshold
    lag = [float(np.corrcoef(fields[1:, a], fields[:-1, b])[0, 1]) for a in (0, 3) for b in (0, 3)]
    assert np.abs(lag).max() < 4 / np.sqrt(COUNT)


def test_noise_has_its_deviation(seed: int) -> None:
    words = words32(torch.tensor([seed + 1]), COUNT)[:, 0]
    total = sum(words >> at & 255 for at in (0, 8, 16, 24)) - 510
    noise = total.double() * SETTINGS["noise"].default / 65536
    assert float(noise.std()) == pytest.approx(0.1015, abs=0.001)
    assert abs(float(noise.mean())) < 4 * 0.1015 / np.sqrt(COUNT)


def apply(matrix: list[int], vector: int) -> int:
    result = 0
    while vector:
        low = vector & -vector
        result ^= matrix[low.bit_length() - 1]
        vector ^= low
    return result


def power(matrix: list[int], exponent: int) -> list[int]:
    result = [1 << bit for bit in range(len(matrix))]
    while exponent:
        if exponent & 1:
            result = [apply(matrix, column) for column in result]
        matrix = [apply(matrix, column) for column in matrix]
        exponent >>= 1
    return result


@pytest.mark.parametrize("bits", [32, 64])
def test_a_state_comes_again_only_after_all_others(bits: int) -> None:
    matrix = [step(1 << bit, bits) for bit in range(bits)]
    one = [1 << bit for bit in range(bits)]
    whole = (1 << bits) - 1
    assert power(matrix, whole) == one
    assert all(power(matrix, whole // prime) != one for prime in PRIMES[bits])
