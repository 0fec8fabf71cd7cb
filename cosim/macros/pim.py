"""The Verilated PIM macro alone in this process, built and cached like a chip.

It is loaded through its port and driven by the native harness cosim/macros/pim.cpp.
"""

import ctypes
from collections.abc import Sequence

import numpy as np

from spikeloop.cosim.macros.port.build import MacroBuild
from spikeloop.cosim.verilator.build import APART, VERILATOR_FLAGS
from spikeloop.hdl.names import PIM_TOP, UNIT_MODULE
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.contents import contents
from spikeloop.pysim.pim.layer import COUNTERS, PimLayer, PimParams
from spikeloop.pysim.pim.memories import memories, stream_word
from spikeloop.pysim.pim.model import PimTrace

__all__ = ["PIM", "PimModel"]

CYCLE_LIMIT = 100_000  # without a beat taken: the macro hangs


# Public ports are not optimised away: there is one function for all units, not one for each.
PUBLIC = "".join(
    f'public_flat_rd -module "{UNIT_MODULE}" -var "{port}"\n'
    for port in ("cells", "stuck0", "stuck1")
)
FLAGS = (*VERILATOR_FLAGS, "-fno-dfg")


def _fields(names: str, kind: type) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


class _Run(ctypes.Structure):
    """The structure Run of cosim/macros/pim.cpp."""

    _fields_ = [
        *_fields("samples positions kernel_rows channels passes groups", ctypes.c_int64),
        *_fields("limit_cycles", ctypes.c_int64),
        *_fields("source", ctypes.c_int64 * 4),
        *_fields("kernel stride padding target", ctypes.c_int64 * 3),
        *_fields("shift limit sigma", ctypes.c_int64),
        *_fields("stall", ctypes.c_uint64),
        *_fields("streams images currents codes cycles counters", ctypes.c_void_p),
    ]


def _model_header(p: PimParams) -> str:
    """The text of model.h: the geometry of the macro."""
    from spikeloop.hdl.pim.memories import load_layout

    values = {
        "CONVERTERS": p.banks * p.converters,
        "ADC_BITS": p.adc_bits,
        "MERGED": int(p.merged),
        "CAPACITY": p.capacity,
        "CURRENT_BITS": p.current_bits,
        "ACTIVE_ROWS": p.active_rows,
        "PIXEL_BITS": p.pixel_bits,
    }
    layout = load_layout(p)
    for name in ("memory", "row", "index", "data"):
        values[f"LOAD_{name.upper()}"] = layout[name].offset
    return "".join(f"#define {name} {value}\n" for name, value in values.items())


def _generate(params: PimParams) -> str:
    from spikeloop.hdl.verilog import generate_macro

    return generate_macro(params)


PIM = MacroBuild(PIM_TOP, "PIM macro", "pim.cpp", _generate, _model_header, FLAGS, APART + PUBLIC)


class PimModel:
    """A Verilated macro. ``load`` a layer, then ``run`` images, as pysim.pim.model.run does.

    cycles: of the last run, the cycles of each image, waiting included; int64 ``[image]``.
    """

    def __init__(self, params: PimParams, *, optimise: bool = True) -> None:
        self.params = params
        self._lib = ctypes.CDLL(str(PIM.library(params, optimise=optimise)))
        self._lib.pim_new.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._lib.pim_new())
        self.layer: PimLayer | None = None
        self.cycles = np.zeros(0, np.int64)

    def load(self, layer: PimLayer) -> None:
        """Fill the memories through the load port."""
        if layer.params != self.params:
            raise InputError(
                f"layer must be made for this macro ({self.params}), not for {layer.params}"
            )
        words, chunks = contents(layer), []
        for number, memory in enumerate(memories(self.params)):
            row, index = np.indices(words[memory.name].shape)
            chunks.append(
                np.stack([np.full(row.shape, number), row, index, words[memory.name]], -1).reshape(
                    -1, 4
                )
            )
        every = np.ascontiguousarray(np.concatenate(chunks), np.uint32)
        self._lib.pim_load(
            self._handle, every.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(every))
        )
        self.layer = layer

    def run(
        self,
        images: np.ndarray,
        streams: np.ndarray | None = None,
        *,
        codes: bool = True,
        stall: int = 0,
    ) -> PimTrace:
        """Run images.

        images: uint8 ``[image, channel, ...]``, as the layer wants them.
        streams: the random stream of each image; 0 by default.
        codes: also return the codes of the ADCs.
        stall: seed of random pauses of both event streams; 0 for none.
        RuntimeError if the macro hangs.
        """
        layer, p = self.layer, self.params
        if layer is None:
            raise InputError("macro must be loaded with a layer, not be empty: call load()")
        x = np.ascontiguousarray(layer.check_images(images), np.uint8)
        window, count = layer.window, len(x)
        numbers = [0] * count if streams is None else [int(stream) for stream in streams]
        words = np.array([stream_word(number) for number in numbers], np.uint32)
        positions, converters = window.positions, p.banks * p.converters
        rounds = (layer.passes, layer.groups, p.pulses, p.share, converters)
        currents = np.zeros((count, layer.channels, positions), np.int64)
        raw = np.zeros((count, positions, *rounds) if codes else 0, np.int32)
        self.cycles, counters = np.zeros(count, np.int64), np.zeros(6, np.uint64)
        pad = 3 - len(window.kernel)

        def three(values: Sequence[int], fill: int) -> ctypes.Array:
            return (ctypes.c_int64 * 3)(*[fill] * pad, *values)

        def pointer(array: np.ndarray) -> ctypes.c_void_p:
            return array.ctypes.data_as(ctypes.c_void_p)

        run = _Run(
            samples=count,
            positions=positions,
            kernel_rows=window.rows,
            channels=layer.channels,
            passes=layer.passes,
            groups=layer.groups,
            limit_cycles=CYCLE_LIMIT,
            source=(ctypes.c_int64 * 4)(window.source[0], *[1] * pad, *window.source[1:]),
            kernel=three(window.kernel, 1),
            stride=three(window.stride, 1),
            padding=three(window.padding, 0),
            target=three(window.target, 1),
            shift=layer.shift,
            limit=layer.limit,
            sigma=layer.sigma,
            stall=stall,
            streams=pointer(words),
            images=pointer(x),
            currents=pointer(currents),
            codes=pointer(raw) if codes else None,
            cycles=pointer(self.cycles),
            counters=pointer(counters),
        )
        if self._lib.pim_run(self._handle, ctypes.byref(run)):
            raise RuntimeError(
                f"macro takes no pixels and gives no currents for {CYCLE_LIMIT} cycles"
            )
        return PimTrace(
            currents,
            _by_channel(layer, raw) if codes else raw,
            dict(zip(COUNTERS, counters.tolist(), strict=True)),
        )

    def close(self) -> None:
        """Give the model back. Closing twice is harmless."""
        if self._handle:
            self._lib.pim_free(self._handle)
            self._handle = ctypes.c_void_p()


def _by_channel(layer: PimLayer, raw: np.ndarray) -> np.ndarray:
    """Codes by round and converter, as they came, as codes by channel and split."""
    p = layer.params
    units = np.swapaxes(raw, -1, -2).reshape(
        *raw.shape[:-2], p.capacity, p.splits
    )  # unit = converter * share + round
    return np.concatenate(
        [units[:, :, n, :, :, : layer.words_of(n)] for n in range(layer.passes)], axis=4
    )
