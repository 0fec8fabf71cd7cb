"""The layers of the paper's networks by name, ``zou-lenet-1`` to ``zou-vgg-4``.

    LeNet    16C5-16C5-2P2-32C5-2P2-256FC-10FC on 28 x 28
             maps 28, 28, 24, 12, 8, 4, 1
    VGG-Net  64C3 x 3-2P2-128C3 x 2-2P2-256C3 x 2-2P2-512C3 x 2-10FC on 24 x 24
             maps 24, 12, 6, 3, 1

mCn is a convolution of m filters of n x n, 2P2 one of 2 x 2 with stride 2 over all channels, mFC a
fully connected layer. The number that ends a name is k_rep, the spikes that stand for one value;
weights are ternary (k_wei 2). The paper prints no paddings: these follow from its numbers of cores.

The first layer turns the image into spikes off chip and is not here. The last is computed off chip
as well and belongs to no total, but the paper's tables 7 and 8 show its patch.

Source: Zou et al. 2021, sections 4.1 and 4.3.
"""

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.patches import Layer
from spikeloop.pysim.network.convolution import Conv

__all__ = ["NAMES", "layers"]

# name, channels, kernel, stride, padding of each layer after the first
_LENET = (
    ("16C5", 16, 5, 1, 0),
    ("2P2", 16, 2, 2, 0),
    ("32C5", 32, 5, 1, 0),
    ("2P2", 32, 2, 2, 0),
    ("256FC", 256, 4, 1, 0),
    ("10FC", 10, 1, 1, 0),
)
_VGG = (
    ("64C3", 64, 3, 1, 1),
    ("64C3", 64, 3, 1, 1),
    ("2P2", 64, 2, 2, 0),
    ("128C3", 128, 3, 1, 1),
    ("128C3", 128, 3, 1, 1),
    ("2P2", 128, 2, 2, 0),
    ("256C3", 256, 3, 1, 1),
    ("256C3", 256, 3, 1, 1),
    ("2P2", 256, 2, 2, 0),
    ("512C3", 512, 3, 1, 1),
    ("512C3", 512, 3, 1, 0),
    ("10FC", 10, 1, 1, 0),
)
# with the map that the first layer hands over (channels, height, width)
_NETS = {"zou-lenet": ((16, 28, 28), _LENET), "zou-vgg": ((64, 24, 24), _VGG)}

NAMES = tuple(f"{net}-{spikes}" for net in _NETS for spikes in (1, 2, 4))


def layers(name: str) -> list[Layer]:
    """The layers of a net by name; InputError lists the names."""
    if name not in NAMES:
        raise InputError(
            f"network must be a network file or one of {', '.join(NAMES)}, not {name!r}"
        )
    net, _, spikes = name.rpartition("-")
    source, shapes = _NETS[net]
    net_layers: list[Layer] = []
    for title, channels, kernel, stride, padding in shapes:
        conv = Conv.make(
            source, channels, (kernel, kernel), stride=(stride, stride), padding=(padding, padding)
        )
        net_layers.append(
            Layer(
                name=title,
                target=conv.target,
                sources=(conv,),
                k_rep_in=int(spikes),
                k_rep_out=int(spikes),
                on_chip=len(net_layers) + 1 < len(shapes),
            )
        )
        source = conv.target
    return net_layers
