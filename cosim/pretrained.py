"""The trained nets that come with the package: the integer network, and images as its stimulus (spikes, or pixels of a PIM layer)."""

from pathlib import Path

from golden.datasets import check_scoring, load_mnist
from golden.rules import qstdb, scatter_gather
from golden.rules.qstdb_integer import PIXELS, to_network
from pysim.errors import InputError
from pysim.network import Network
from pysim.trace import Stimulus

__all__ = ["NETS", "PIM_NET", "write_pretrained"]

PIM_NET = "pim-mnist"
NETS = ("zou-lenet:4", "zou-lenet:2", "zou-lenet:1", PIM_NET)


def write_pretrained(name: str, data: Path | None, samples: int | None, folder: Path) -> tuple[Network, Stimulus]:
    """network.safetensors and stimulus.npz of net ``name`` in ``folder``: the first ``samples`` test images of ``data``.

    The nets were trained on MNIST's 60,000; among them are the embedded images, so that those come without labels: they serve a
    comparison, and no score.
    """
    if name not in NETS:
        raise InputError(f"net must be one of {', '.join(NETS)}, not {name!r}")
    net = qstdb.checkpoint(name) if name == PIM_NET else scatter_gather.checkpoint(name)
    images = load_mnist(data)
    count = len(images.test_images) if samples is None else samples
    if not 0 < count <= len(images.test_images):
        raise InputError(f"samples must be in 1..{len(images.test_images)} (the test images there are), not {samples}")
    try:
        check_scoring(net.metadata["dataset"]["source"], images)
        labels = images.test_labels[:count]
    except InputError:
        labels = None
    if isinstance(net, qstdb.QstdbNet):
        network, stimulus = to_network(net), Stimulus.pack({}, labels, {PIXELS: images.test_images[:count]})
    else:
        network, stimulus = net.to_network(readout_on_chip=True), Stimulus.pack(net.encode(images.test_images[:count]), labels)
    network.save(folder / "network.safetensors")
    stimulus.save(folder / "stimulus.npz")
    return network, stimulus
