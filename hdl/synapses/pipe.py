"""Small parts of the pipelines: delays, and the two roundings of docs/plasticity.md."""

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["delayed", "least", "nearest"]


def delayed(m: Module, domain: str, signal: Value, stages: int, name: str) -> list[Value]:
    """``signal`` now and after 1 .. ``stages`` cycles of ``domain``."""
    line = [signal]
    for stage in range(1, stages + 1):
        later = Signal(signal.shape(), name=f"{name}_{stage}", reset_less=True)
        m.d[domain] += later.eq(line[-1])
        line.append(later)
    return line


def nearest(x: Value, shift: int) -> Value:
    """sh(x, shift): x / 2^shift to nearest, halves up."""
    return (x + (1 << shift - 1)) >> shift


def least(x: Value, bound: int) -> Value:
    """min(x, bound)."""
    return Mux(x > bound, bound, x)
