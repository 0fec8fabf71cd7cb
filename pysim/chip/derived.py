"""Every width and count that follows from the parameters of a chip."""

from typing import TYPE_CHECKING

from spikeloop.pysim.network.parameters import MAX_GAIN, MAX_START, MAX_WEIGHT_BITS

if TYPE_CHECKING:
    from spikeloop.pysim.chip.params import Chip

__all__ = ["SCAN_BITS", "Derived"]

SCAN_BITS = 64
"""axons (and spikes) that the scanner looks at in one cycle"""


class Derived:
    """Every width and count that follows from a :class:`Chip`, computed once."""

    def __init__(self, chip: "Chip") -> None:
        self.chip, p = chip, chip.membrane_bits
        self.digits = chip.columns // chip.digit_bits
        """digits per axon row"""
        self.words = _ceil(self.digits, chip.lanes)
        """row reads per axon"""
        self.join_max = MAX_WEIGHT_BITS // chip.digit_bits
        """most digits of one weight"""
        self.axon_lines = chip.axons * chip.extension
        """axons at the longest extension"""
        self.extensions = chip.extension.bit_length() - 1
        """log2 of the longest extension"""
        self.extension_bits = max(1, self.extensions.bit_length())
        self.axon_chunks = _ceil(self.axon_lines, SCAN_BITS)
        """scanner words of one ring slot"""
        self.synapse_rows = (
            max(self.words_at(1 << e) << e for e in range(self.extensions + 1)) * chip.axons
        )
        """rows of synapses: enough for the words of every extension"""
        self.spike_chunks = _ceil(chip.lanes, SCAN_BITS)
        """scanner words of one word of spikes"""
        self.slots = chip.delay_max + 1
        """slots of the axon ring"""
        self.axon_bits = _index_bits(self.axon_lines)
        self.word_bits = _index_bits(self.words)
        self.lane_bits = _index_bits(self.spike_chunks * SCAN_BITS)
        """bits of a lane index as the spike scanner counts them"""
        self.cores = chip.mesh_width * chip.mesh_height
        self.core_bits = (self.cores - 1).bit_length()
        self.route_rows = (self.words << self.lane_bits) + (chip.chain if self.cores > 1 else 0)
        """route entries of a core: one per lane, behind them those of the chains"""
        self.page_bits = _index_bits(chip.pages)
        self.page_shift_bits = chip.page_shift.bit_length()
        """bits of a page shift; 0 on a chip whose pages act in one step each"""
        self.delay_bits = chip.delay_max.bit_length()
        self.shift_bits = p.bit_length()
        """bits of a leak shift 0..P"""
        self.start_bits = MAX_START.bit_length()
        self.count_bits = self.axon_lines.bit_length()
        """bits of a number of events 0..f A"""
        self.accumulator_bits = (self.axon_lines * ((1 << chip.digit_bits) - 1)).bit_length()
        """a lane adds at most f A digits of at most 2^digit_bits - 1: it cannot overflow"""
        self.sum_bits = (self.axon_lines << (MAX_WEIGHT_BITS - 1)).bit_length() + 1
        """signed: |S| <= f A * 2^15"""
        current = chip.pim.macro.current_bits if chip.pim else 0
        current = chip.pim.macro.current_bits if chip.pim else 0
        driven = max(self.sum_bits, current) + bool(chip.pim)
        self.acting_bits = max(driven, chip.current_bits) if chip.current_bits else self.sum_bits
        """signed: what reaches the leak stage, S or J"""
        widest = max(self.sum_bits, p, current, chip.current_bits)
        self.input_bits = widest + 1 + bool(chip.pim)
        """signed: I = J + bias, where J is Z or a synaptic current"""
        self.total_bits = max(p + 2, self.input_bits) + 1
        """signed: L + I, where |L| <= 4 * 2^(P-1)"""
        self.gain_bits = max(0, min(MAX_GAIN, chip.current_bits - 1)).bit_length()
        """bits of a gain"""
        self.fraction_bits = chip.current_bits.bit_length()
        """bits of a right shift 0..Q of a current"""
        self.scale_bits = chip.adaptation_bits.bit_length()
        """bits of a right shift 0..R of an adaptation"""

    def words_at(self, extension: int) -> int:
        """Words of a core that runs with axon extension f: 1/f of the columns."""
        return _ceil(max(1, self.digits // extension), self.chip.lanes)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _index_bits(count: int) -> int:
    """Bits of an index 0..count-1, at least 1."""
    return max(1, (count - 1).bit_length())
