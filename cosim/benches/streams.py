"""Parts for any cocotb bench: drivers and monitors of valid/ready streams, scoreboard, watchdog.

All of them sample and drive at the *falling* edge of the clock ``clk``. All outputs of our designs
are registers. A value at the falling edge therefore holds until the rising edge, and tells whether
a transfer happens at it. There is no race on any simulator, with a clock from Python or from HDL.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge, Timer

__all__ = [
    "PERIOD",
    "Pattern",
    "Scoreboard",
    "StreamDriver",
    "StreamMonitor",
    "always",
    "never",
    "one_in",
    "randomly",
    "watchdog",
]

PERIOD = 10  # ns

Pattern = Callable[[], Iterator[int]]


def always() -> Iterator[int]:
    """Ready in every cycle."""
    return itertools.repeat(1)


def never() -> Iterator[int]:
    """Ready in no cycle."""
    return itertools.repeat(0)


def one_in(n: int, first: int = 0) -> Pattern:
    """Blocked for ``first`` cycles, then ready in one cycle of n."""
    return lambda: itertools.chain(itertools.repeat(0, first), itertools.cycle([0] * (n - 1) + [1]))


def randomly(rng: np.random.Generator, share: float) -> Pattern:
    """Ready in a random ``share`` of the cycles."""
    return lambda: (int(rng.random() < share) for _ in itertools.count())


@contextmanager
def watchdog(name: str, cycles: int) -> Iterator[None]:
    """Fail the running test, by ``name``, unless the block ends within ``cycles`` clock cycles.

    with watchdog("tick 3", 10_000):
        await bench.tick()
    """

    async def bite() -> None:
        await Timer(cycles * PERIOD, "ns")
        raise TimeoutError(f"{name}: not done after {cycles} cycles")

    task = cocotb.start_soon(bite())
    try:
        yield
    finally:
        task.cancel()


class StreamDriver:
    """Sends words over the stream ``prefix`` of ``dut``.

    Its ports are prefix__valid, prefix__ready and prefix__payload.
    """

    def __init__(self, dut: Any, prefix: str) -> None:
        self.clk = dut.clk
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{prefix}__{part}") for part in ("valid", "ready", "payload")
        )
        self.valid.value = 0
        self.payload.value = 0

    async def send(self, words: Iterable[int], gaps: Iterator[int] | None = None) -> None:
        """Send one word per cycle, as fast as the receiver takes them.

        gaps: idle cycles before each word. Call and return are at a falling edge.
        """
        for word in words:
            for _ in range(next(gaps) if gaps else 0):
                await FallingEdge(self.clk)
            self.payload.value = word
            self.valid.value = 1
            taken = False
            while not taken:
                taken = bool(self.ready.value)
                await FallingEdge(self.clk)
            self.valid.value = 0


class StreamMonitor:
    """Receives words from the stream ``prefix`` of ``dut``.

    A payload that changes while it waits fails the test.

    pattern: when to be ready; one item is drawn per cycle in which a word is offered.
    check: gets each word, for example a scoreboard's ``check``.
    received: all words so far.
    """

    def __init__(
        self,
        dut: Any,
        prefix: str,
        *,
        pattern: Pattern = always,
        check: Callable[[int], None] | None = None,
    ) -> None:
        self.name, self.clk, self.check = prefix, dut.clk, check
        self.valid, self.ready, self.payload = (
            getattr(dut, f"{prefix}__{part}") for part in ("valid", "ready", "payload")
        )
        self.received: list[int] = []
        self.pattern = pattern
        self.ready.value = 0
        self._task = cocotb.start_soon(self._run())

    @property
    def pattern(self) -> Pattern:
        return self._pattern

    @pattern.setter
    def pattern(self, pattern: Pattern) -> None:
        self._pattern, self._draws = pattern, pattern()

    async def _run(self) -> None:
        waiting = None
        while True:
            if str(self.valid.value) != "1":
                if waiting is not None:
                    raise AssertionError(
                        f"stream {self.name}: word {waiting:#x} was withdrawn before it was taken"
                    )
                await RisingEdge(self.valid)
                await FallingEdge(self.clk)
                continue
            offered, ready = self.payload.value, next(self._draws)
            if not offered.is_resolvable:
                raise AssertionError(
                    f"stream {self.name}: word {len(self.received)} has undefined bits: {offered}"
                )
            word = int(offered)
            if waiting not in (None, word):
                raise AssertionError(
                    f"stream {self.name}: word {waiting:#x} became {word:#x} before it was taken"
                )
            self.ready.value = ready
            waiting = None if ready else word
            if ready:
                self.received.append(word)
                if self.check is not None:
                    self.check(word)
            await FallingEdge(self.clk)

    def stop(self) -> None:
        self._task.cancel()


class Scoreboard:
    """Compares items with the expected ones, in order: none is lost, doubled or out of place."""

    def __init__(self, name: str) -> None:
        self.name, self.matched = name, 0
        self.expected: list[Any] = []

    def expect(self, items: Iterable[Any]) -> None:
        self.expected += items

    def check(self, item: Any) -> None:
        if self.matched >= len(self.expected):
            count = len(self.expected)
            raise AssertionError(
                f"{self.name}: item {self.matched} is {item}, and only {count} were expected"
            )
        if item != self.expected[self.matched]:
            raise AssertionError(
                f"{self.name}: item {self.matched} is {item}, not {self.expected[self.matched]}"
            )
        self.matched += 1

    def finish(self) -> None:
        """Fail unless every expected item has come."""
        if self.matched != len(self.expected):
            raise AssertionError(
                f"{self.name}: {self.matched} items came, not {len(self.expected)}; "
                f"the next would be {self.expected[self.matched]}"
            )
