"""``spikeloop import`` and ``compare --expected``: other people's nets through every backend."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.cli import main
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.ranc_sets import RancSet, random_set

RANC = [("vmm", "3x3", "2,2", "4", 107, 16), ("tea_512_128", "2x3", "0,2", "2", 10, 120)]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), json.loads(out) if out.strip() else {}, err


def import_set(
    capsys: pytest.CaptureFixture[str], want: RancSet, folder: Path, *options: object
) -> tuple[int, dict, str]:
    grid, output = "x".join(map(str, want.grid)), ",".join(map(str, want.output))
    return run(
        capsys,
        "import",
        "ranc",
        want.write(folder / "set"),
        "--grid",
        grid,
        "--bus",
        output,
        "--first-tick",
        0,
        *options,
        "-o",
        folder / "out",
        "--json",
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_set_by_the_command(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, made, err = import_set(capsys, random_set(seed), tmp_path)
    assert status == 0 and len(made["assumed"]) >= 9 and "neurons left out" in err
    status, result, err = run(
        capsys,
        "compare",
        tmp_path / "out",
        "--expected",
        made["expected"],
        "--backends",
        "golden,pysim",
        "--json",
    )
    pairs = {(p["reference"], p["backend"]): p for p in result["pairs"]}
    assert set(pairs) == {("golden", "pysim"), ("expected", "golden"), ("expected", "pysim")}
    assert (
        result["different"] == 0
        and pairs["expected", "pysim"]["neuron_ticks"] == 24 * made["sizes"]["output"]
    )
    assert status == 0 and result["silent"] == [], err

    expected = Expected.load(Path(made["expected"]))  # one flipped bit is seen, and named
    expected.spikes["output"][0, 5, 0] ^= 4
    expected.save(tmp_path / "wrong.npz")
    status, result, err = run(
        capsys,
        "compare",
        tmp_path / "out",
        "--expected",
        tmp_path / "wrong.npz",
        "--backends",
        "golden,pysim",
        "--json",
    )
    assert status == 1 and result["different"] == 2 and "--expected" in result["evidence"]
    first = next(p for p in result["pairs"] if p["reference"] == "expected")["first"]
    assert (first["step"], first["population"], first["neuron"], first["field"]) == (
        5,
        "output",
        2,
        "spike",
    )
    assert "expected against pysim" in err


def test_steps_before_the_first_do_not_count(tmp_path: Path) -> None:
    expected = Expected({"output": np.zeros((1, 4, 1), np.uint8)}, first=2)
    expected.save(tmp_path / "e.npz")
    got = np.full((1, 4, 1), 1, np.uint8)
    assert np.argwhere(Expected.load(tmp_path / "e.npz").wrong("output", 3, got)).tolist() == [
        [0, 2, 0],
        [0, 3, 0],
    ]


@pytest.mark.parametrize(
    ("content", "message"), [(b"no archive", "is damaged"), (None, "is missing")]
)
def test_bad_expected_file(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_set(capsys, random_set(0), tmp_path)
    if content is not None:
        (tmp_path / "bad.npz").write_bytes(content)
    status, _, err = run(
        capsys,
        "compare",
        tmp_path / "out",
        "--expected",
        tmp_path / "bad.npz",
        "--backends",
        "golden,pysim",
    )
    assert status == 2 and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--grid", "3by2"), "--grid must be two numbers"),
        (("--grid", "1x1", "--bus", "0,0"), "check --grid"),
        (("--chip", "tiny,axons=2"), "must be at most"),
        (("--steps", "0"), "steps"),
    ],
)
def test_refused_and_nothing_written(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = import_set(capsys, random_set(0), tmp_path, *options)
    assert status == 2 and message in err and not (tmp_path / "out").exists()


@pytest.mark.shared
@pytest.mark.parametrize(("name", "grid", "output", "first", "ticks", "addresses"), RANC)
def test_ranc_own_sets(
    name: str,
    grid: str,
    output: str,
    first: str,
    ticks: int,
    addresses: int,
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """RANC's vector-matrix multiply (linear reset, a loop) and MNIST (hard reset), all ticks."""
    own_sets(
        "golden,pysim", name, grid, output, first, ticks, addresses, shared_data, tmp_path, capsys
    )


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("name", "grid", "output", "first", "ticks", "addresses"), RANC)
def test_ranc_own_sets_rtl(
    name: str,
    grid: str,
    output: str,
    first: str,
    ticks: int,
    addresses: int,
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_sets(
        "golden,pysim,verilator",
        name,
        grid,
        output,
        first,
        ticks,
        addresses,
        shared_data,
        tmp_path,
        capsys,
    )


def own_sets(
    backends: str,
    name: str,
    grid: str,
    output: str,
    first: str,
    ticks: int,
    addresses: int,
    shared_data: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chip = "default,axons=512,columns=256"  # one for both, so that one model serves
    status, made, _ = run(
        capsys,
        "import",
        "ranc",
        shared_data / "ranc" / name,
        "--grid",
        grid,
        "--bus",
        output,
        "--first-tick",
        first,
        "--chip",
        chip,
        "-o",
        folder,
        "--json",
    )
    assert status == 0 and made["sizes"]["output"] == addresses
    status, result, err = run(
        capsys,
        "compare",
        folder,
        "--expected",
        folder / "expected.npz",
        "--backends",
        backends,
        "--json",
    )
    assert status == 0 and result["different"] == 0, err
    for backend in backends.split(","):
        pair = next(
            p for p in result["pairs"] if (p["reference"], p["backend"]) == ("expected", backend)
        )
        assert pair["neuron_ticks"] == ticks * addresses


# -- NIR ---------------------------------------------------------------------------------------


def nir_set(
    capsys: pytest.CaptureFixture[str],
    name: str,
    steps: int,
    options: tuple[object, ...],
    shared_data: Path,
    folder: Path,
    backends: str,
) -> None:
    """Import one of the NIR paper's nets, give it a stimulus, compare; then export it."""
    pytest.importorskip("nir", reason="package nir is not installed: pip install -e '.[nir]'")
    file = shared_data / "nir" / f"{name}.nir"
    status, made, err = run(
        capsys, "import", "nir", file, "--steps", steps, *options, "-o", folder, "--json"
    )
    assert status == 0 and {"dt", "compare", "reset"} <= {a["what"] for a in made["assumed"]}, err
    size = made["sizes"]["input"]
    if name == "lif_norse":
        spikes = np.loadtxt(shared_data / "nir" / "lif_exact.csv", delimiter=",")[
            None, :, :1
        ].astype(np.uint8)
    else:
        spikes = (np.random.default_rng(0).random((1, steps, size)) < 0.1).astype(np.uint8)
    Stimulus.pack({"input": spikes}).save(folder / "stimulus.npz")
    status, result, err = run(capsys, "compare", folder, "--backends", backends, "--json")
    assert (
        status == 0
        and result["different"] == 0
        and result["neuron_ticks"] == steps * (sum(made["sizes"].values()) - size)
    ), err
    assert run(capsys, "export", folder, "--format", "nir", "-o", folder / "back", "--json")[0] == 0
    assert (folder / "back" / "network.nir").is_file()


NIR_NETS = [
    ("lif_norse", 1000, ("--bits", 16)),
    ("cnn_sinabs", 5, ("--compare", ">=", "--reset", "soft")),
]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "steps", "options"), NIR_NETS[:1])
def test_nir_nets(
    name: str,
    steps: int,
    options: tuple[object, ...],
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nir_set(capsys, name, steps, options, shared_data, tmp_path, "golden,pysim")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("name", "steps", "options"), NIR_NETS)
def test_nir_nets_rtl(
    name: str,
    steps: int,
    options: tuple[object, ...],
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nir_set(capsys, name, steps, options, shared_data, tmp_path, "golden,pysim,verilator")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--compare", "=="), "must"),
        (("--reset", "maybe"), "must"),
        (("--dt", "-1"), "must"),
        (("--bits", "1"), "must"),
        ((), "is damaged"),
    ],
)
def test_nir_that_is_refused(
    options: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nir = pytest.importorskip("nir", reason="package nir is not installed: pip install -e '.[nir]'")
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.ones((3, 2))),
        "if": nir.IF(np.ones(3), np.ones(3)),
        "output": nir.Output(np.array([3])),
    }
    path = tmp_path / "net.nir"
    nir.write(
        path,
        nir.NIRGraph(nodes, [("input", "fc"), ("fc", "if"), ("if", "output")], type_check=False),
    )
    if not options:
        path.write_bytes(path.read_bytes()[:1000])
    status, _, err = run(capsys, "import", "nir", path, *options, "-o", tmp_path / "out")
    assert status == 2 and err.count("\n") == 1 and words in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.icarus
def test_random_set_through_both_simulators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a small build; test_ranc_own_sets_rtl runs on the chip that import chooses
    chip = "tiny,columns=512,axons=64"
    assert import_set(capsys, random_set(1), tmp_path, "--chip", chip)[0] == 0
    status, result, err = run(
        capsys,
        "compare",
        tmp_path / "out",
        "--expected",
        tmp_path / "out" / "expected.npz",
        "--backends",
        "golden,pysim,verilator,icarus",
        "--json",
    )
    assert status == 0 and result["different"] == 0 and len(result["pairs"]) == 7, err
