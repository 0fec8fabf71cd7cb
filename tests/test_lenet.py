"""The four-spike LeNet of Zou et al. on many cores: golden, pysim and RTL do the same, over the embedded test images."""

from pathlib import Path

import pytest

from cosim.backends import open_backend
from cosim.compare import compare
from cosim.pretrained import write_pretrained
from pysim.params import preset
from pysim.program import Program, compile_program


@pytest.mark.slow
@pytest.mark.parametrize(("chip", "cores", "samples"), [("full,extension=4", 185, 1000), ("zou2021", 225, 50)])
def test_every_spike_and_membrane(chip: str, cores: int, samples: int, tmp_path: Path) -> None:
    network, stimulus = write_pretrained("zou-lenet:4", None, samples, tmp_path)
    program = compile_program(network, preset(chip))
    assert isinstance(program, Program) and len(program.parts) == cores
    names = ["golden", "pysim", "verilator"]
    result = compare(network, stimulus, names, lambda name: open_backend(name, network, program))
    print(f"{chip}: {result.neuron_ticks:,} neuron-ticks compared in each of {len(result.pairs)} pairs, {result.different} different; "
          f"cycles predicted {result.cycles_predicted:,}, measured {result.cycles_measured:,}; SOPs {result.sops:,}")
    assert result.neuron_ticks == samples * sum(p.size for p in network.populations)
    assert not result.failures()
    assert result.cycles_predicted == result.cycles_measured > 0
