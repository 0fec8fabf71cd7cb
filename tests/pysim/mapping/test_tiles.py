"""pysim.mapping.partition: tiles that share a network, and populations cut with their diagonal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.reference.integer import run
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import open_seal, seal
from spikeloop.pysim.mapping.partition import cut, partition
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.make.small import diagonal_network
from tests.pysim.mapping.test_partition import CHIP, stimulus


def even_network(rng: np.random.Generator, *, v_th: np.ndarray | int = 3) -> Network:
    """Two convolutions over 12 x 9 and 6 x 5 places whose neurons are alike."""
    first = Conv.make((2, 12, 9), 4, (3, 3), padding=(1, 1))
    second = Conv.make(first.target, 6, (3, 2), stride=(2, 2), padding=(1, 1), groups=2)
    names, convs = ("image", "first", "second"), (first, second)
    return Network(
        name="even",
        inputs=(Input(name="image", size=216),),
        populations=tuple(
            Population.make(
                name, int(np.prod(conv.target)), start=i, weight_bits=3, v_th=(v_th, 2)[i]
            )
            for i, (name, conv) in enumerate(zip(names[1:], convs, strict=True))
        ),
        edges=tuple(
            Edge(
                source=source,
                target=target,
                conv=conv,
                weights=rng.integers(-2, 4, conv.weights_shape, np.int32),
            )
            for source, target, conv in zip(names, names[1:], convs, strict=False)
        ),
        steps=3,
        output="second",
    )


def as_golden(network: Network, program: Program, rng: np.random.Generator) -> None:
    """One part at a time and together: the same spikes, membranes and counters, in fewer runs."""
    stim = stimulus(rng, network)
    golden = run(network, stim.dense(network))
    runs: dict[bool, list[int]] = {}
    traces: dict[bool, Trace] = {}
    for together in (False, True):
        order = runs[together] = list[int]()

        def one(i: int, part: Stimulus, order: list[int] = order) -> Trace:
            order.append(i)
            return Core(program.parts[i].image).run(part)

        trace = traces[together] = program.run(stim, one, together=together)
        for p in network.populations:
            spikes = unpack(trace.spikes[p.name], p.size)
            np.testing.assert_array_equal(spikes, golden.spikes[p.name], err_msg=p.name)
            np.testing.assert_array_equal(trace.membranes[p.name], golden.membranes[p.name])
            assert spikes.any(), p.name
    for name, values in traces[False].counters.items():
        np.testing.assert_array_equal(traces[True].counters[name], values, err_msg=name)
    assert runs[False] == list(range(len(program.parts)))
    first_of = {part.image: i for i, part in reversed(list(enumerate(program.parts)))}
    assert runs[True] == sorted(first_of.values())


@pytest.mark.parametrize(
    "chip", [CHIP, CHIP.replace(columns=192, lanes=16)], ids=["one", "several"]
)
@pytest.mark.parametrize("uneven", [False, True])
def test_equal_tiles_share_a_network(uneven: bool, chip, rng: np.random.Generator) -> None:
    """What is shared is what would have been cut; a neuron of its own is not shared."""
    v_th = np.full(4 * 12 * 9, 3)
    v_th[200] += uneven
    network = even_network(rng, v_th=v_th)
    parts = list(partition(network, chip))
    for part in parts:
        alone = cut(network, part.neurons)
        assert alone.network.sha256() == part.network.sha256()
        assert alone.lines.keys() == part.lines.keys()
        assert all(np.array_equal(alone.lines[name], part.lines[name]) for name in part.lines)
    different = {part.network.sha256() for part in parts}
    assert len({id(part.network) for part in parts}) == len(different) < len(parts)
    (odd,) = (part for part in parts if 200 in part.neurons.get("first", ()))
    assert (sum(part.network is odd.network for part in parts) == 1) or not uneven
    program = compile_program(network, chip)
    assert isinstance(program, Program)
    as_golden(network, program, rng)


def test_an_image_of_several_parts_is_stored_once(rng: np.random.Generator, tmp_path: Path) -> None:
    network = even_network(rng)
    program = compile_program(network, CHIP)
    assert isinstance(program, Program)
    folder = program.save(tmp_path / "program")
    again = load_bundle(folder)
    assert isinstance(again, Program) and len(again.parts) == len(program.parts)
    stored = {path.name for path in folder.iterdir() if path.is_dir()}
    assert stored == program.folders().keys() == again.folders().keys()
    assert len(stored) < len(program.parts)
    for one, other in zip(program.parts, again.parts, strict=True):
        for name, rows in one.image.memories.items():
            np.testing.assert_array_equal(rows, other.image.memories[name])
    as_golden(network, again, rng)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda images: images.__setitem__(0, 1),
            "images of program .* must be those of the first",
        ),
        (lambda images: images.__setitem__(-1, len(images)), "must be those of the first"),
        (lambda images: images.pop(), "must be complete, not without"),
    ],
)
def test_images_of_no_part(change, says: str, rng: np.random.Generator, tmp_path: Path) -> None:
    folder = compile_program(even_network(rng), CHIP).save(tmp_path / "program")
    head = open_seal((folder / "program.json").read_bytes(), "head")
    change(head["images"])
    (folder / "program.json").write_bytes(seal(head))
    with pytest.raises(InputError, match=says):
        load_bundle(folder)


@pytest.mark.parametrize("conv", [False, True], ids=["matrix", "convolution"])
def test_a_diagonal_is_cut_with_its_neurons(conv: bool, rng: np.random.Generator) -> None:
    """600 neurons that inhibit themselves, on cores of which one holds far fewer."""
    network = diagonal_network(rng, 600, conv=conv)
    program = compile_program(network, PRESETS["zou2021"])
    assert isinstance(program, Program) and program.cores_of()["own"] > 1
    for part in program.parts:
        assert "own" not in part.neurons or part.lines.keys() == {"x"}
    as_golden(network, program, rng)


def test_one_weight_beside_the_diagonal_keeps_it_together(rng: np.random.Generator) -> None:
    network = diagonal_network(rng, 600, conv=False)
    itself = next(e for e in network.edges if e.source == e.target)
    beside = itself.weights.copy()
    beside[3, 599] = 1
    edges = tuple(replace(e, weights=beside) if e is itself else e for e in network.edges)
    assert itself.one_to_one and not edges[1].one_to_one
    with pytest.raises(InputError, match=r"feed each other \(own\) must lie on one core together"):
        compile_program(replace(network, edges=edges), PRESETS["zou2021"])
