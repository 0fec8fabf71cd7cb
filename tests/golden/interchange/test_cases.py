"""Every net under ``shared/cases/nets`` has its right outcome, as its README says.

A torch net must give the spikes of its own forward pass, and a NIR file those of an independent
Euler integration (euler.py); or the import is refused with the sentence that names the cause. The
bounds on integers that differ stand beside the cases whose leak or weights have no exact integers.
"""

import runpy
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeloop.cosim.flow.imports import import_torch, write_import
from spikeloop.cosim.stimuli.make import from_files
from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.golden.quantize.states import finer
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.conftest import SHARED
from tests.golden.interchange.euler import Euler

pytestmark = pytest.mark.shared
NETS = SHARED / "cases" / "nets"
SAMPLES = 20


@dataclass(frozen=True)
class Torch:
    """A net that is imported. ``loop``: forward takes all steps, else one at a call. ``off``: the
    share of output spikes that may differ. ``maps``: it must fit the default chip at 8 bits."""

    shape: tuple[int, ...] | None = None
    loop: bool = False
    steps: int = 12
    bits: int = 16
    off: float = 0.0
    maps: bool = False


@dataclass(frozen=True)
class Nir:
    """A file that is imported, with options of the import and of the Euler integration."""

    options: dict[str, Any] = field(default_factory=dict)
    euler: dict[str, Any] = field(default_factory=dict)
    steps: int = 20
    off: float = 0.0
    maps: bool = False


SNNTORCH = {"options": {"framework": "snntorch"}, "euler": {"reset": "late"}}
SPIKINGJELLY = {"options": {"framework": "spikingjelly"}, "euler": {"compare": ">="}}
IF = {"euler": {"dt": 1.0}}  # no time constants
CASES: dict[str, Torch | Nir] = {
    "A1_order": Torch((12,), loop=True),
    "A2_shared": Torch((12,), loop=True),
    "A3_functional": Torch((12,), loop=True),
    "A4_sibling": Torch((12,)),
    "A5_tutorial5": Torch((784,), loop=True, off=0.01, maps=True),  # beta 0.95
    "A8_view": Torch((1, 8, 8), loop=True),
    "B02_csnn_maxpool_after_spikes": Torch((1, 12, 12)),
    "B03_batchnorm2d": Torch((1, 8, 8)),
    "B05_learnable": Torch((10,)),
    "B09_synaptic": Torch((10,), maps=True),
    "B07_rleaky": Torch((10,), off=0.003),  # recurrent weights of random floats
    "B13_padding_same": Torch((2, 7, 7)),
    "B14_conv_dil_groups": Torch((4, 9, 9), off=0.01, maps=True),  # beta 0.75 drops bits
    "B15_conv1d": Torch((3, 20), maps=True),
    "B16_avgpool_mid": Torch((2, 8, 8)),
    "B17_adaptivepool": Torch((2, 8, 8)),
    "B20_population": Torch((10,)),
    "B21_leaky_first": Torch((1, 6, 6)),
    "B22_unflatten": Torch((10,)),
    "B24_flatten_shape_1d": Torch((10,)),
    "B25_beta1": Torch((10,)),
    "B28_last_linear": Torch((10,)),
    "H1_bfloat16": Torch((8,), off=0.01),
    "H4_parametrized": Torch((8,), off=0.01),
    "C01_vleak_vreset_r_odd_dt": Nir(off=0.02),  # leaks of 0.9875 and the like
    "C02_dt_3e-4": Nir({"dt": 3e-4}, {"dt": 3e-4}, off=0.02),
    "C04_threshold": Nir(),
    "C05_scale": Nir(),
    "C07_cubali": Nir(),
    "C08_conv_same": Nir(**IF),
    "C09_conv_valid": Nir(**IF),
    "C10_conv_dil_grp": Nir(**IF),
    "C11_conv1d": Nir(**IF),
    "C12_two_inputs": Nir(),
    "C14_skip": Nir(off=0.001),  # weights of random floats
    "C16_threshold_inf": Nir(**IF),
    "C18_flatten_start1": Nir({"framework": "norse", "dt": 1.0}, {"dt": 1.0, "flat_from": 1}),
    "C19_names": Nir(),
    "C21_nested_recurrent": Nir(),
    "C22_neg_threshold": Nir(**IF),
    "C23_sumpool_nondividing": Nir(**IF),
    "C25_batch_dim": Nir(**IF),
    "C27_lif_lif": Nir(),
    "C28_linear_last": Nir(),
    "C29_no_neuron": Nir(),
    "D01c_snn_csnn": Nir(**SNNTORCH, maps=True),
    "D02_snn_rleaky_380": Nir(**SNNTORCH, off=0.003),
    "D03_snn_rleaky_1to1": Nir(**SNNTORCH, off=0.001),  # weights of random floats
    "D05_snn_beta1_beta0": Nir(**SNNTORCH),
    "D07_snn_mixed_resets": Nir(
        {"framework": "snntorch", "reset": "1=hard,late"},
        {"reset": "late", "resets": {"1": "hard"}},
    ),
    "D08_snn_beta0.9": Nir(**SNNTORCH, off=0.02),  # beta 0.9
    "D10_sj_plif": Nir(**SPIKINGJELLY),
    "D13_sj_conv_avg": Nir({"framework": "spikingjelly", "dt": 1.0}, {"compare": ">=", "dt": 1.0}),
    "D14_sj_lif_vreset": Nir(**SPIKINGJELLY),
    "D15_sj_multistep": Nir(**SPIKINGJELLY),
    "D20_sinabs_iaf": Nir({"framework": "sinabs"}, {"compare": ">=", "reset": "soft", "dt": 1.0}),
    "D21_sinabs_lif": Nir(
        {"framework": "sinabs"},
        {"compare": ">=", "reset": "soft", "dt": 1.0, "exponential": True},
        off=0.03,  # leaks of exp(-1/2)
    ),
    "D41_rockpool_rec": Nir(
        {"framework": "rockpool"},
        {"compare": ">=", "reset": "soft", "dt": 1e-3, "exponential": True},
        off=0.01,  # leaks of exp(-1/20)
    ),
    "F1_two_lif": Nir(steps=3000, off=0.01),  # leak 0.99
    "F2_rockpool": Nir(steps=3000),
}
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "A7_tutorial6": (r"max_pool2d\(\) at net.py:15 must pool spikes", {"shape": (1, 28, 28)}),
    "B01_csnn_maxpool_before": ("layer '1' .* must pool spikes", {"shape": (1, 12, 12)}),
    "B11_alpha": ("neurons '1' .*, not Alpha: its membrane is the difference of two currents", {}),
    "B12_sconv2dlstm": ("neurons '0' .*, not SConv2dLSTM", {"shape": (1, 8, 8)}),
    "B18_relu": (r"relu\(\) at module '1' must be affine between two neurons", {}),
    "B23_leakyparallel": ("neurons '1' .*, not LeakyParallel", {}),
    "B26_inhibition": ("neurons '1' must be without inhibition", {}),
    "H2_lazy": ("layer '1' is lazy and never ran: call the net once", {"shape": (8,)}),
    "C03_tau_lt_dt": ("dt must be at most tau of node 'lif'", {"dt": 3e-3}),
    "C15_tau_inf": ("tau and r of node 'lif' must be infinite together", {}),
    "C18_flatten_start1": (r"must carry the shape that Affine takes, \(100,\), not \(4, 25\)", {}),
    "C20_slash_names": ("names of nodes .* must be without '/', .* not 'enc/fc'", {}),
    "D41_rockpool_rec": (r"must carry the shape that Linear takes, \(10,\), not \(1, 5, 10\)", {}),
}
ELSEWHERE = {  # cases with tests of their own below, or without a file
    "A6_threshold_scale", "C24_drift", "D12_sj_conv_bn", "E1_plain_npz", "E2_labels", "E3_npy",
    "E4_direct", "F3_braille_sub", "S1_vgg_cifar", "S3_dvs128", "X1_export",
}  # fmt: skip


def test_every_case_has_an_outcome() -> None:
    folders = {path.name for path in NETS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == CASES.keys() | REFUSED.keys() | ELSEWHERE


@pytest.fixture(autouse=True)
def path_of_imports() -> Any:
    """A case's neighbours must not stay importable for the next one."""
    yield
    for name in ("model", "net"):
        sys.modules.pop(name, None)


def snntorch() -> None:
    pytest.importorskip(
        "snntorch", reason="package snntorch is not installed: pip install -e '.[test]'"
    )


def own_forward(net: Any, x: np.ndarray, loop: bool) -> np.ndarray:
    """The net's own answer, [sample, step, neuron], in its own number type."""
    dtype = next(net.parameters()).dtype
    spikes = torch.as_tensor(x).to(dtype)
    for module in net.modules():
        for state in ("mem", "syn"):
            if hasattr(module, state):
                setattr(module, state, torch.zeros(0, dtype=dtype))
    with torch.no_grad():
        if loop:
            rows = net(spikes.transpose(0, 1)).transpose(0, 1)
        else:
            outs = [net(spikes[:, t]) for t in range(x.shape[1])]
            rows = torch.stack([o[0] if isinstance(o, tuple) else o for o in outs], 1)
    return rows.flatten(2).float().numpy()


def integers(network: Network, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Spikes of the network's output, or its membranes in real units."""
    flat = {name: x.reshape(*x.shape[:2], -1) for name, x in inputs.items()}
    trace = run(network, flat, membranes=network.readout == "membrane")
    if network.readout == "spikes":
        return trace.spikes[network.output]
    unit = network.metadata["scales"][network.output] * finer(network.population(network.output))
    return trace.membranes[network.output] / unit


def random_spikes(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """uint8 [sample, step, ...]: from a silent sample to one in which every line always spikes."""
    rates = np.linspace(0, 1, shape[0]).reshape(-1, *(1 for _ in shape[1:]))
    return (np.random.default_rng(seed).random(shape) < rates).astype(np.uint8)


def whole_weights(layer: torch.nn.Linear) -> None:
    """The same at each call, and large enough for spikes; for nets that are drawn when they run."""
    generator = torch.Generator().manual_seed(layer.in_features)
    weight = torch.randint(-2, 4, layer.weight.shape, generator=generator).float() / 2
    layer.weight.data, layer.bias.data = weight, torch.zeros_like(layer.bias)


def check(got: np.ndarray, want: np.ndarray, off: float) -> None:
    want = want.reshape(got.shape)
    different = np.abs(got - want) > 1e-3
    assert different.mean() <= off, f"{different.sum()} of {want.size} differ"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if isinstance(case, Torch)])
def test_a_torch_net_gives_the_spikes_of_its_forward(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snntorch()
    case = CASES[name]
    if name == "A4_sibling":
        monkeypatch.setattr(torch.nn.Linear, "reset_parameters", whole_weights)
    assert isinstance(case, Torch)
    source = f"{NETS / name / 'net.py'}:net"
    made, _ = import_torch(source, case.shape, steps=case.steps, bits=case.bits, data=None)
    (node,) = made.network.inputs
    shape = case.shape or (node.size,)
    x = random_spikes((SAMPLES, case.steps, *shape))
    sys.path.insert(0, str(NETS / name))
    try:
        net = runpy.run_path(str(NETS / name / "net.py"))["net"].eval()
    finally:
        sys.path.pop(0)
    want = own_forward(net, x, case.loop)
    assert want.std() > 0 or name == "A8_view"  # never spikes; the import compares its membranes
    check(integers(made.network, {node.name: x}), want, case.off)
    if case.maps:
        narrow, _ = import_torch(source, case.shape, steps=case.steps, bits=8, data=None)
        written = write_import(narrow, "zou2021", tmp_path)
        bits = narrow.network.current_bits
        assert written["chip"] == ("zou2021,current_bits=24" if bits else "zou2021")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if isinstance(case, Nir)])
def test_a_nir_file_gives_the_spikes_of_euler(name: str, tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="package nir is not installed: spikeloop[nir]")
    case = CASES[name]
    assert isinstance(case, Nir)
    path = NETS / name / "net.nir"
    semantics = Semantics(**case.options)
    network = import_nir(path, semantics, steps=case.steps, bits=16).network
    graph = nir.read(path, type_check=False)
    inputs = {}
    for node in network.inputs:
        key = network.metadata["nodes"][node.name]
        shape = network.metadata["shapes"][node.name]
        inputs[key] = random_spikes((SAMPLES, case.steps, *shape), len(inputs))
    output = next(n for n, node in graph.nodes.items() if type(node).__name__ == "Output")
    if name == "F1_two_lif":  # its second layer, of threshold 20, never spikes
        output, network = "lif1", replace(network, output="lif1")
    want = Euler(graph, **case.euler).run(inputs, output)
    got = integers(
        network, {n.name: inputs[network.metadata["nodes"][n.name]] for n in network.inputs}
    )
    if name == "C16_threshold_inf":
        assert not want.any() and not network.population(network.output).fire.any()
        return
    assert want.std() > 0
    check(got, want, case.off)
    if case.maps:
        write_import(import_nir(path, semantics, steps=case.steps, bits=8), "zou2021", tmp_path)


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_with_its_sentence(name: str) -> None:
    words, options = REFUSED[name]
    if (NETS / name / "net.py").exists():
        snntorch()
        with pytest.raises(InputError, match=words):
            source = f"{NETS / name / 'net.py'}:net"
            import_torch(source, options.get("shape"), steps=12, bits=8, data=None)
        return
    pytest.importorskip("nir", reason="package nir is not installed: spikeloop[nir]")
    with pytest.raises(InputError, match=words):
        import_nir(NETS / name / "net.nir", Semantics(**options), steps=20)


def test_a_long_drift_keeps_its_membrane() -> None:
    """C24: 1,000 steps down and 3,000 up; the first spike at 2,020, 95 in all, at 16 bits too."""
    pytest.importorskip("nir", reason="package nir is not installed: spikeloop[nir]")
    x = np.zeros((1, 4000, 2), np.uint8)
    x[:, :1000, 0] = x[:, 1000:, 1] = 1
    for bits in (8, 12, 16):
        network = import_nir(NETS / "C24_drift" / "net.nir", steps=4000, bits=bits).network
        spikes = run(network, {network.inputs[0].name: x}).spikes[network.output].ravel()
        assert (int(spikes.argmax()), int(spikes.sum())) == (2020, 95)


def test_the_default_reset_leaves_the_bits_to_the_weights() -> None:
    """A6: a trained net of 89.2 % keeps about 88 at 4 bits; an edge to itself left 48.8."""
    snntorch()
    import snntorch as snn

    from spikeloop.golden.data.datasets import load_mnist
    from spikeloop.golden.interchange.modules.read import import_module

    net = torch.nn.Sequential(
        torch.nn.Linear(784, 100), snn.Leaky(0.875, init_hidden=True),
        torch.nn.Linear(100, 10), snn.Leaky(0.875, init_hidden=True),
    )  # fmt: skip
    state = torch.load(NETS / "A6_threshold_scale" / "net.pt", weights_only=True)
    net.load_state_dict(state, strict=False)
    data = load_mnist()
    rate = data.test_images[:200].reshape(-1, 1, 784) / 255 * 0.5
    x = (np.random.default_rng(0).random((200, 10, 784)) < rate).astype(np.uint8)
    labels = data.test_labels[:200]
    own = own_forward(net.eval(), x, loop=False).sum(1).argmax(1)
    right = {"float": (own == labels).mean()}
    for bits in (8, 4):
        network = import_module(net, (784,), steps=10, bits=bits).network
        right[bits] = (integers(network, {"input": x}).sum(1).argmax(1) == labels).mean()
    assert right["float"] > 0.8
    assert abs(right["float"] - right[8]) <= 0.02 and right["float"] - right[4] <= 0.05


@pytest.mark.parametrize(
    ("file", "width"), [("x.npy", None), ("x.npz", None), ("input_unpacked.npz", None),
                        ("shd.h5", 0.1)],
)  # fmt: skip
def test_plain_data_become_a_stimulus(file: str, width: float | None) -> None:
    """E1, E3: dense arrays and spike times."""
    snntorch()
    source = f"{NETS / 'B20_population' / 'net.py'}:net"
    network = import_torch(source, (10,), steps=10, bits=8, data=None)[0].network
    path = NETS / "E1_plain_npz" / file
    assert path.exists()
    stimulus = from_files(network, [path], width=width).stimulus
    stimulus.check(network)
    if file != "shd.h5":
        x = np.load(NETS / "E1_plain_npz" / "x.npy")
        np.testing.assert_array_equal(stimulus.dense(network)["input"], x)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("float.npz", "'labels' .* must be int64, not float64"),
        ("onehot.npz", r"labels .* shape \(4,\)"),
    ],
)
def test_labels_are_whole_numbers(file: str, words: str) -> None:
    """E2."""
    snntorch()
    source = f"{NETS / 'B20_population' / 'net.py'}:net"
    network = import_torch(source, (10,), steps=10, bits=8, data=None)[0].network
    with pytest.raises(InputError, match=words):
        Stimulus.load(NETS / "E2_labels" / file).check(network)


def test_grey_values_name_their_route() -> None:
    """E4: grey values are refused as spikes with the way out."""
    snntorch()
    source = f"{NETS / 'B24_flatten_shape_1d' / 'net.py'}:net"
    network = import_torch(source, (10,), steps=10, bits=8, data=None)[0].network
    with pytest.raises(InputError, match="grey"):
        from_files(network, [NETS / "E1_plain_npz" / "grey.npz"])


def test_an_edge_to_nothing_is_named(tmp_path: Path) -> None:
    """F3: the file itself is not shared; one with the same flaw is."""
    h5py = pytest.importorskip("h5py", reason="package h5py is not installed: spikeloop[nir]")
    with h5py.File(tmp_path / "net.nir", "w") as file:
        node = file.create_group("node")
        node["type"] = "NIRGraph"
        inner = node.create_group("nodes/input")
        inner["type"], inner["shape"] = "Input", [3]
        node["edges"] = np.array([["input", "lif"]], dtype=h5py.string_dtype())
    with pytest.raises(InputError, match=r"edge .input.->.lif. .* must join nodes of the graph"):
        import_nir(tmp_path / "net.nir")


@pytest.mark.slow
def test_a_vgg_net_gives_the_spikes_of_its_forward() -> None:
    """S1: weights of sixty-fourths, snnTorch's default reset, 1,041 cores."""
    snntorch()
    from spikeloop.golden.interchange.modules.read import import_module

    net = runpy.run_path(str(NETS / "S1_vgg_cifar" / "net.py"))["net_default"]
    torch.manual_seed(1)
    for module in net.modules():
        weight = getattr(module, "weight", None)
        if weight is not None:
            scale = 3 * weight[0].numel() ** -0.5
            weight.data = torch.round(torch.randn_like(weight) * scale * 64) / 64
            if module.bias is not None:
                module.bias.data = torch.round(module.bias.data * 64) / 64
    made = import_module(net.eval(), (3, 32, 32), steps=4, bits=16)
    assert made.drift is not None
    for row in made.drift.populations:
        assert row.different <= 0.01 * row.spikes
