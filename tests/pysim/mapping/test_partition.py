"""pysim.mapping.partition, pysim.bundle.program: the parts do what the whole network does."""

import resource
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from spikeloop.golden.reference.integer import run
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.bundle.program import Program, compile_program
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.mapping import published as zoo
from spikeloop.pysim.mapping.partition import cut, groups, partition
from spikeloop.pysim.mapping.periods import dense_periods
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.pysim.mapping.vgg import random_vgg

CHIP = PRESETS["tiny"].replace(extension=4)


def conv_network(rng: np.random.Generator, *, recurrent: bool = False, steps: int = 3) -> Network:
    """6 x 6 image, convolution, depthwise pooling by stride, a dense layer, a read-out.

    The dense layer also sees the image, a step late.
    """
    conv = Conv.make((2, 6, 6), 4, (3, 3), padding=(1, 1))
    pool = Conv.make((4, 6, 6), 4, (2, 2), stride=(2, 2), groups=4)

    def population(name: str, size: int, start: int, **arrays) -> Population:
        return Population.make(
            name,
            size,
            start=start,
            weight_bits=2,
            v_th=rng.integers(1, 4, size),
            bias=rng.integers(-1, 2, size),
            leak_sign=[[[-1], [0], [0]]],
            leak_shift=2,
            v_init=rng.integers(-2, 3, size),
            **arrays,
        )

    def weights(*shape: int) -> np.ndarray:
        return rng.choice([-2, -1, 0, 1], shape, p=[0.1, 0.1, 0.2, 0.6]).astype(np.int32)

    edges = [
        Edge(source="image", target="conv", conv=conv, weights=weights(*conv.weights_shape)),
        Edge(
            source="conv", target="pool", conv=pool, weights=np.ones(pool.weights_shape, np.int32)
        ),
        Edge(source="pool", target="dense", weights=weights(36, 6)),
        Edge(source="image", target="dense", weights=weights(72, 6), delay=1),
        Edge(source="dense", target="out", weights=weights(6, 3)),
    ]
    if recurrent:
        edges.append(Edge(source="dense", target="dense", weights=weights(6, 6), delay=1))
    return Network(
        name="conv",
        inputs=(Input(name="image", size=72),),
        edges=tuple(edges),
        steps=steps,
        output="out",
        populations=(
            population("conv", 144, 0),
            population("pool", 36, 1),
            population("dense", 6, 2),
            population("out", 3, 3, weight_format=WeightFormat.SIGNED),
        ),
    )


def stimulus(
    rng: np.random.Generator, network: Network, samples: int = 4, density: float = 0.3
) -> Stimulus:
    return Stimulus.pack(
        {
            n.name: (rng.random((samples, network.steps, n.size)) < density).astype(np.uint8)
            for n in network.inputs
        }
    )


@pytest.mark.parametrize(
    "chip", [CHIP, CHIP.replace(digit_bits=2, columns=64, extension=8)], ids=["bits", "digits"]
)
@pytest.mark.parametrize("recurrent", [False, True])
def test_program_does_what_the_network_does(
    chip: Chip, recurrent: bool, rng: np.random.Generator
) -> None:
    network = conv_network(rng, recurrent=recurrent)
    program = compile_program(network, chip)
    assert isinstance(program, Program) and len(program.parts) > 10
    stim = stimulus(rng, network)
    golden = run(network, stim.dense(network))
    trace = program.run(stim, lambda i, part: Core(program.parts[i].image).run(part))
    for p in network.populations:
        np.testing.assert_array_equal(
            unpack(trace.spikes[p.name], p.size), golden.spikes[p.name], err_msg=p.name
        )
        np.testing.assert_array_equal(
            trace.membranes[p.name], golden.membranes[p.name], err_msg=p.name
        )
        assert golden.spikes[p.name].any(), p.name
    expected = np.zeros((stim.samples, network.ticks), np.int64)
    for p in network.populations:
        expected[:, p.start : p.start + network.steps] += golden.spikes[p.name].sum(
            axis=2, dtype=np.int64
        )
    np.testing.assert_array_equal(trace.counters["spikes_out"], expected)
    assert sum(program.cores_of().values()) == len(program.parts)


def test_synaptic_operations_do_not_depend_on_the_cut(rng: np.random.Generator) -> None:
    network = conv_network(rng)
    stim = stimulus(rng, network)
    whole = compile_program(network, CHIP.replace(axons=1024, columns=1024, lanes=64))
    assert isinstance(whole, Image)
    program = compile_program(network, CHIP)
    assert isinstance(program, Program)
    parts = program.run(
        stim, lambda i, part: Core(program.parts[i].image).run(part), membranes=False
    )
    # The last ticks of a pipeline bring a single core events that no step uses any more. A part
    # does not even receive them.
    dense = stim.dense(network)
    golden = run(network, dense)
    sent = {**dense, **golden.spikes}
    sops = sum(
        int((sent[e.source][:, : network.steps - e.delay].sum(axis=(0, 1)) * e.fanout()).sum())
        for e in network.edges
    )
    assert parts.counters["sops"].sum() == sops <= Core(whole).run(stim).counters["sops"].sum()


def test_every_neuron_lies_in_one_part(rng: np.random.Generator) -> None:
    network = conv_network(rng)
    parts = list(partition(network, CHIP))
    for p in network.populations:
        held = np.concatenate([part.neurons[p.name] for part in parts if p.name in part.neurons])
        assert sorted(held) == list(range(p.size))
    seen = {"image"}
    for name in [n for part in parts for n in part.neurons]:
        seen.add(name)
    for part in parts:  # what a part listens to was run before it
        assert set(part.lines) <= seen


def test_groups_are_ordered_and_hold_cycles_together() -> None:
    one = np.ones((2, 2), np.int32)
    names = ["d", "b", "a", "c"]
    links = [
        ("x", "a", 0),
        ("a", "b", 0),
        ("b", "c", 0),
        ("c", "b", 2),
        ("c", "d", 1),
        ("d", "d", 1),
    ]
    net = Network(
        name="n",
        inputs=(Input(name="x", size=2),),
        populations=tuple(
            Population.make(n, 2, start=i) for n, i in zip(names, (3, 1, 0, 2), strict=True)
        ),
        edges=tuple(Edge(source=s, target=t, delay=d, weights=one) for s, t, d in links),
        steps=1,
        output="d",
    )
    assert groups(net) == [["a"], ["b", "c"], ["d"]]


def test_a_loop_larger_than_a_core_is_refused(rng: np.random.Generator) -> None:
    net = Network(
        name="n",
        inputs=(Input(name="x", size=2),),
        populations=(Population.make("a", 40, weight_bits=2), Population.make("b", 3)),
        edges=(
            Edge(source="x", target="a", weights=np.ones((2, 40), np.int32)),
            Edge(source="a", target="a", delay=1, weights=np.ones((40, 40), np.int32)),
            Edge(source="a", target="b", delay=1, weights=np.ones((40, 3), np.int32)),
        ),
        steps=1,
        output="b",
    )
    with pytest.raises(
        InputError,
        match=r"populations that feed each other \(a\) must lie on one core together.*; "
        "but words of network",
    ):
        compile_program(net, CHIP)


def test_fan_in_beyond_every_extension_is_refused() -> None:
    size = CHIP.axons * CHIP.extension + 1
    net = Network(
        name="n",
        inputs=(Input(name="x", size=size),),
        populations=(Population.make("a", 1, weight_bits=2),),
        steps=1,
        output="a",
        edges=(Edge(source="x", target="a", weights=np.ones((size, 1), np.int32)),),
    )
    with pytest.raises(
        InputError, match=f"fan-in of layer 'a' must be at most 128 lines .*, not {size}"
    ):
        compile_program(net, CHIP)


def test_a_cut_begins_time_anew(rng: np.random.Generator) -> None:
    network = conv_network(rng)
    part = cut(network, {"dense": np.array([1, 4, 5])})
    assert part.network.populations[0].start == 0 and part.network.ticks == network.steps
    assert {n.name: n.size for n in part.network.inputs} == {"pool": 36, "image": 72}
    np.testing.assert_array_equal(
        part.network.edges[0].weights, network.edges[2].weights[:, [1, 4, 5]]
    )
    np.testing.assert_array_equal(
        part.network.populations[0].v_th, network.population("dense").v_th[:, [1, 4, 5]]
    )


@pytest.mark.slow
def test_vgg_is_packed_part_by_part(
    rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    """3,520 cores of ``zou-vgg-4`` with random ternary weights.

    What every fourth of them takes is printed.
    """
    network, chip, every = random_vgg(4, rng), PRESETS["zou2021"], 4
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    cores: Counter[str] = Counter()
    neurons: Counter[str] = Counter()
    image_bytes = 0
    for number, part in enumerate(partition(network, chip)):
        (name,) = part.neurons
        cores[name] += 1
        neurons[name] += part.neurons[name].size
        if number % every:
            continue
        image = pack(part.network, chip=chip)
        image_bytes += every * sum(rows.nbytes for rows in image.memories.values())
    seconds, after = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with capsys.disabled():
        print(
            f"\n{cores.total():,} cores cut, every {every}th packed, in {seconds:.1f} s of "
            f"processor time; about {image_bytes / 2**30:.2f} GiB of images if all were kept; "
            f"peak memory {before / 2**20:.2f} GiB before (the network), "
            f"{after / 2**20:.2f} GiB after"
        )
    assert cores.total() == 3520
    assert list(cores.values()) == [
        row.cores for row in dense_periods(zoo.layers("zou-vgg-4"), chip).rows if row.on_chip
    ]
    assert neurons == {p.name: p.size for p in network.populations}


# -- folder ------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, rng):
    program = compile_program(conv_network(rng), CHIP)
    assert isinstance(program, Program)
    return program, program.save(tmp_path / "program")


def test_round_trip(saved) -> None:
    program, folder = saved
    again = load_bundle(folder)
    assert isinstance(again, Program)
    assert (again.chip, again.network, again.populations, again.reason) == (
        program.chip,
        program.network,
        program.populations,
        program.reason,
    )
    assert program.reason and program.reason.startswith("axons of network 'conv' must be at most")
    for a, b in zip(program.parts, again.parts, strict=True):
        assert (
            all(np.array_equal(a.lines[n], b.lines[n]) for n in a.lines)
            and a.lines.keys() == b.lines.keys()
        )
        assert (
            all(np.array_equal(a.neurons[n], b.neurons[n]) for n in a.neurons)
            and a.neurons.keys() == b.neurons.keys()
        )
        assert all(
            np.array_equal(a.image.memories[n], b.image.memories[n]) for n in a.image.memories
        )
    program.save(folder)  # an earlier program is replaced
    assert [p.name for p in folder.parent.iterdir()] == ["program"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda f: (f / "parts.safetensors").write_bytes(
                (f / "parts.safetensors").read_bytes()[:-8]
            ),
            "is damaged: map the network again",
        ),
        (
            lambda f: flip(f / "parts.safetensors"),
            "must have the SHA-256 of program.json, not another",
        ),
        (
            lambda f: (f / "parts.safetensors").unlink(),
            r"is damaged \(no parts\.safetensors\): map the network again",
        ),
        (
            lambda f: (f / "program.json").write_text(
                (f / "program.json").read_text().replace('"parts": ', '"parts": 1')
            ),
            "not damaged or edited",
        ),
        (
            lambda f: (f / "part3" / "manifest.json").unlink(),
            r"image .* is missing \(no manifest\.json\)",
        ),
        (lambda f: (f / "part0").rename(f / "part-"), r"image .* is missing \(no manifest\.json\)"),
    ],
)
def test_damage_is_found(saved, spoil, says: str) -> None:
    _, folder = saved
    spoil(folder)
    with pytest.raises(InputError, match=says):
        load_bundle(folder)


def flip(file) -> None:
    data = bytearray(file.read_bytes())
    data[-8] ^= 1
    file.write_bytes(data)


def test_a_part_listens_to_those_before_it(saved, tmp_path) -> None:
    program, _ = saved
    folder = replace(program, parts=program.parts[::-1]).save(tmp_path / "backwards")
    with pytest.raises(
        InputError, match=r"part 0 of program .* must listen to parts before it, not to part \d+"
    ):
        load_bundle(folder)


def test_tables_must_hold_every_neuron_once(saved, tmp_path) -> None:
    program, _ = saved
    twice = replace(program.parts[1], neurons=program.parts[0].neurons)
    if twice.neurons["conv"].size == program.parts[1].neurons["conv"].size:
        folder = replace(program, parts=(program.parts[0], twice, *program.parts[2:])).save(
            tmp_path / "twice"
        )
        with pytest.raises(InputError, match=r"neurons of 'conv' in .* must be in one part each"):
            load_bundle(folder)


def test_a_folder_of_others_is_not_replaced(saved, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="program folder must be new, empty or an earlier program"):
        saved[0].save(tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
