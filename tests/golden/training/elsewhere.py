"""A device of pretence: its tensors say that they are elsewhere, and are computed on the CPU.

It keeps the rule of a GPU that an operation takes tensors of one device. Its random numbers come
from a generator of its own. So a training that ends here has met no tensor of another device, and
its result can be compared with that of the CPU, bit for bit. It shows nothing of the sums of a GPU.

The device calls itself ``meta``, since autograd takes no device that this torch was built without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from spikeloop.golden.training import device

__all__ = ["NAME", "Generator", "elsewhere"]

NAME = "meta"
CPU = torch.device("cpu")
aten = torch.ops.aten
MOVES = (aten.copy_, aten._to_copy)
INDEXED = (aten.index, aten.index_put_)  # they take indices from the CPU too


class Elsewhere(Tensor):
    """Says that it is elsewhere; ``here`` holds its values."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "Elsewhere":
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, here.shape, here.stride(), here.storage_offset(), dtype=here.dtype, device=NAME
        )
        made.here = here
        return made  # type: ignore[no-any-return]

    def data_ptr(self) -> int:
        return self.here.data_ptr()

    def tolist(self) -> Any:
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """``func`` of the values, placed where a GPU would place it."""
    given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    away = any(isinstance(t, Elsewhere) for t in given)
    if kwargs.get("device") is not None:
        away = torch.device(kwargs["device"]).type == NAME
        kwargs = kwargs | {"device": CPU}
    elif away and func.overloadpacket not in MOVES:
        _check(func, given[:1] if func.overloadpacket in INDEXED else given)
    args, kwargs = tree_map_only(Elsewhere, lambda t: t.here, (args, kwargs))
    with _drawing(away and torch.Tag.nondeterministic_seeded in func.tags):
        result = func(*args, **kwargs)
    known = {id(t.here if isinstance(t, Elsewhere) else t): t for t in given}
    return tree_map_only(
        Tensor, lambda t: known[id(t)] if id(t) in known else Elsewhere(t) if away else t, result
    )


def _check(func: Any, given: list[Tensor]) -> None:
    """RuntimeError for a tensor of the CPU, except numbers (tensors of no dimension) to be read."""
    for i, t in enumerate(given):
        number = i > 0 and t.ndim == 0 and torch.Tag.pointwise in func.tags
        if not isinstance(t, Elsewhere) and not number:
            raise RuntimeError(f"{func} got a tensor of another device, {tuple(t.shape)}")


class Generator:
    """The generator of the device, with the names that a module such as torch.cuda has."""

    state = torch.Generator().get_state()

    def get_rng_state(self, device: torch.device) -> Tensor:
        return self.state

    def set_rng_state(self, state: Tensor, device: torch.device) -> None:
        self.state = state


_generator = Generator()


@contextmanager
def _drawing(away: bool) -> Iterator[None]:
    """Draw from the generator of the device inside the block."""
    if not away:
        yield
        return
    before = torch.get_rng_state()
    torch.set_rng_state(_generator.state)
    yield
    _generator.state = torch.get_rng_state()
    torch.set_rng_state(before)


class _Factories(TorchDispatchMode):
    """Sees new tensors, which have no :class:`Elsewhere` among their arguments."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class _FromPython(TorchFunctionMode):
    """Sees what becomes a tensor below the dispatcher."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in (torch.tensor, torch.as_tensor) or str(kwargs.get("device")) != NAME:
            return func(*args, **kwargs)
        args = tree_map_only(Elsewhere, lambda t: t.here, args)
        return Elsewhere(func(*args, **kwargs | {"device": CPU}))


@contextmanager
def elsewhere() -> Iterator[None]:
    """Trainings inside the block run on the device of pretence."""
    seed = torch.manual_seed

    def seed_both(number: int) -> torch.Generator:
        _generator.state = torch.Generator().manual_seed(number).get_state()
        return seed(number)

    swapped = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with (
            mock.patch.object(device, "devices", lambda: [device.CPU, NAME]),
            mock.patch.object(torch, "manual_seed", seed_both),
            mock.patch.object(torch, "get_device_module", lambda of: _generator),
            torch.random.fork_rng(devices=[]),
            _Factories(),
            _FromPython(),
            device.training_on(NAME),
        ):
            yield
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swapped)
