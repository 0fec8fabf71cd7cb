"""RANC import: against a scalar model of RANC on random sets, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikeloop.golden.interchange.common import Imported
from spikeloop.golden.interchange.ranc.read import import_ranc
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from tests.make.ranc_sets import Neuron, RancSet, random_set

EMPTY = [0] * 4


def check(made: Imported, want: RancSet) -> int:
    """Compare every spike and potential of every neuron that stays, and all outputs.

    Returns the number of neuron-ticks.
    """
    trace = run(made.network, made.inputs or {})
    got = [set(np.flatnonzero(row).tolist()) for row in trace.spikes["output"][0]]
    assert got == want.outputs
    compared = 0
    for name, neurons in made.network.metadata["neurons"].items():
        x, y = map(int, name.split("_")[1:3])
        for column, i in enumerate(neurons):
            states = [states[(x, y), i] for states in want.traces]
            assert (
                list(
                    zip(
                        trace.spikes[name][0, :, column].astype(bool).tolist(),
                        trace.membranes[name][0, :, column].tolist(),
                        strict=True,
                    )
                )
                == states
            ), (name, i)
            compared += len(states)
    return compared


@pytest.mark.parametrize("seed", range(12))
def test_random_sets_equal_the_scalar_model(seed: int, tmp_path: Path) -> None:
    want = random_set(seed, axons=(8, 12, 16, 17)[seed % 4], loops=seed % 3 > 0)
    made = import_ranc(
        want.write(tmp_path, first=2, digits=2 + seed % 2),
        grid=want.grid,
        output=want.output,
        first_tick=2,
    )
    assert made.network.steps == want.ticks and made.first == 2
    assert (
        made.expected is not None
        and [set(np.flatnonzero(r).tolist()) for r in made.expected[0, 2:]] == want.outputs[2:]
    )
    assert check(made, want) > 0
    assert sum(map(len, want.outputs)) > 20


def test_random_sets_hold_what_they_should() -> None:
    """The sets above exercise shared axons, late spikes, both resets and both lower bounds."""
    sets = [
        random_set(seed, axons=(8, 12, 16, 17)[seed % 4], loops=seed % 3 > 0) for seed in range(12)
    ]
    neurons = [n for s in sets for some in s.cores.values() for n in some]
    targets = [
        [(n.goes, n.axon) for some in s.cores.values() for n in some if n.goes != s.output]
        for s in sets
    ]
    assert any(len(t) > len(set(t)) for t in targets) and {n.delay for n in neurons} == {0, 1, 2, 3}
    below = {
        n.linear
        for s in sets
        for states, after in zip(s.traces, s.traces[1:], strict=False)
        for (p, i), (spike, v) in after.items()
        if not spike and states[p, i][1] < (n := s.cores[p][i]).low
    }
    assert {n.linear for n in neurons} == {False, True} and (
        below == {False, True} or any(n.low == 0 for n in neurons)
    )


def two_cores(**loop: int) -> RancSet:
    """Core (0, 0) passes axon 0 on to axon 1 of core (1, 0). There neuron 0 feeds axon 1 too (by
    ``loop``), and neuron 1 the output."""

    def relay(**values: int) -> Neuron:
        return Neuron(connected=[0, 0, 0, 0], weights=[1, 1, 1, 1], goes=(1, 0), axon=1, **values)

    first, again, out = relay(), relay(**loop), relay()
    first.connected[0] = again.connected[1] = out.connected[1] = 1
    out.goes, out.axon = (0, 1), 3
    return RancSet(
        4,
        (2, 2),
        (0, 1),
        {(0, 0): EMPTY, (1, 0): EMPTY},
        {(0, 0): [first], (1, 0): [again, out]},
        [[((0, 0), 0, 0)]],
        9,
    )


@pytest.mark.parametrize("delay", [1, 2])
def test_a_relay_takes_the_delay_of_a_cycle(delay: int, tmp_path: Path) -> None:
    want = two_cores(delay=delay).run()
    made = import_ranc(want.write(tmp_path), grid=want.grid, output=want.output, first_tick=0)
    assert check(made, want) > 0 and any(
        p.name.startswith("shared") for p in made.network.populations
    )


def test_a_cycle_of_delay_0_is_checked_on_the_packets(tmp_path: Path) -> None:
    """The loop fires each tick once it has begun: one packet is fine, a second one meets it."""
    want = two_cores().run()
    made = import_ranc(
        want.write(tmp_path / "one"), grid=want.grid, output=want.output, first_tick=0
    )
    assert check(made, want) > 0 and sum(map(len, want.outputs)) == 7
    assert any("cycles" in a.what and a.value == "1" for a in made.assumed)
    two = two_cores()
    two.packets.append([((0, 0), 0, 0)])
    with pytest.raises(InputError, match=r"axon 1 of core \(1, 0\).*tick 3"):
        import_ranc(
            two.run().write(tmp_path / "two"), grid=two.grid, output=two.output, first_tick=0
        )
    for name in ("tb_input.txt", "tb_num_inputs.txt", "tb_correct.txt", "tb_num_outputs.txt"):
        (tmp_path / "one" / name).unlink()
    with pytest.raises(InputError, match="without"):
        import_ranc(tmp_path / "one", grid=want.grid, output=want.output, steps=9)


def test_parameters_file_and_a_network_without_packets(tmp_path: Path) -> None:
    want = random_set(3, loops=False)
    want.write(tmp_path)
    params = {
        "grid_dimension_x": 3,
        "grid_dimension_y": 2,
        "output_core_x_coordinate": 2,
        "output_core_y_coordinate": 1,
    }
    (tmp_path / "tb_spikehard_params.json").write_text(json.dumps(params))
    check(import_ranc(tmp_path, first_tick=0), want)
    for name in ("tb_input.txt", "tb_num_inputs.txt", "tb_correct.txt", "tb_num_outputs.txt"):
        (tmp_path / name).unlink()
    made = import_ranc(tmp_path, steps=7)
    assert made.inputs is None and made.expected is None and made.network.steps == 7
    (tmp_path / "csram_000.mem").unlink()  # an absent core is an empty one
    assert import_ranc(tmp_path, steps=7).network.population("output")


def line(path: Path, change: Callable[[str], str], at: int = -1) -> None:
    rows = path.read_text().split("\n")
    rows[at] = change(rows[at])
    path.write_text("\n".join(rows))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: line(d / "csram_001.mem", lambda r: r[:-1]), "must be of 120 bits"),
        (lambda d: (d / "csram_001.mem").write_text("0101"), "must be of connections"),
        (lambda d: (d / "csram_001.mem").write_text(""), "must be of connections"),
        (lambda d: line(d / "csram_001.mem", lambda r: "2" + r[1:]), "must be bits"),
        (lambda d: (d / "csram_001.mem").write_bytes(b"PK\x03\x04" + bytes(100)), "not an archive"),
        (lambda d: (d / "csram_009.mem").write_text("0"), r"must be in 0\.\.5"),
        (lambda d: (d / "tc_001.mem").unlink(), "file to import .* is missing"),
        (lambda d: (d / "tc_001.mem").write_text("00\n" * 11), "must hold 12 lines"),
        (lambda d: (d / "tc_001.mem").write_text("00\n" * 11 + "010"), "another width"),
        (
            lambda d: line(d / "csram_000.mem", lambda r: r[:-26] + "011111111" + r[-17:]),
            "address of neuron 9",
        ),
        (
            lambda d: line(d / "tb_input.txt", lambda r: "000000111" + r[9:], at=0),
            "address of a packet",
        ),
        (
            lambda d: line(d / "tb_input.txt", lambda r: "000000010000000001" + r[18:], at=0),
            "output bus",
        ),
        (lambda d: line(d / "tb_input.txt", lambda r: r + "1", at=0), "must all be of"),
        (lambda d: line(d / "tb_num_inputs.txt", lambda r: r + "9", at=0), "must add up"),
        (lambda d: (d / "tb_num_outputs.txt").unlink(), "both or not at all"),
        (
            lambda d: (d / "tb_spikehard_params.json").write_text('{"weight_width": 8}'),
            "weight_width",
        ),
        (lambda d: (d / "tb_spikehard_params.json").write_text("[" * 100000), "must be JSON"),
        (lambda d: [p.unlink() for p in d.glob("csram*")], "must hold csram"),
    ],
)
def test_bad_sets(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    want = random_set(5, loops=False)
    want.cores[0, 0][9].threshold = 0  # it may spike, so that its address counts
    want.write(tmp_path)
    import_ranc(tmp_path, grid=want.grid, output=want.output, first_tick=0)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        import_ranc(tmp_path, grid=want.grid, output=want.output, first_tick=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": None}, "--grid"),
        ({"output": None}, "--bus"),
        ({"first_tick": None}, "--first-tick"),
        ({"output": (3, 0)}, "must lie in"),
        ({"grid": (0, 2)}, "grid must be"),
        ({"first_tick": -1}, "first tick must be in 0..65535, not -1"),
        ({"first_tick": 10**9}, "first tick must be in 0..65535, not 1000000000"),
        ({"output": (0, 0)}, "output bus"),
    ],
)
def test_bad_options(options: dict[str, object], message: str, tmp_path: Path) -> None:
    want = random_set(5, loops=False)
    with pytest.raises(InputError, match=message):
        import_ranc(
            want.write(tmp_path),
            **({"grid": want.grid, "output": want.output, "first_tick": 0} | options),
        )  # type: ignore[arg-type]
