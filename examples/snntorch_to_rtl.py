"""From a net trained with snnTorch to RTL that does exactly the same.

    python examples/snntorch_to_rtl.py

The cells are those of a notebook. The net is small on purpose (5 x 5 pixels, 24 hidden neurons, a
core of 32 axons), so that all takes a minute. Most of it is the RTL's build.
"""

# %% Images, as spikes: a pixel spikes in a step with the probability of its brightness
import numpy as np
import snntorch as snn
import torch
from torch import nn

from spikeloop import Stimulus, import_module, load_mnist, map_network, predict, preset, run, verify

STEPS = 8
rng = np.random.default_rng(0)
torch.manual_seed(0)
data = load_mnist()  # 5,000 images of a package; load_mnist("FOLDER") for the four files of MNIST


def spikes_of(images: np.ndarray) -> np.ndarray:
    """Spikes uint8 ``[sample, step, 25]``."""
    small = nn.functional.adaptive_avg_pool2d(
        torch.as_tensor(images.reshape(-1, 1, 28, 28) / 255.0, dtype=torch.float32), 5
    )
    bright = (small.reshape(len(images), 1, 25) * 1.5).clamp(max=1).numpy()
    return (rng.random((len(images), STEPS, 25)) < bright).astype(np.uint8)


x_train, x_test = spikes_of(data.train_images), spikes_of(data.test_images[:200])
y_train, y_test = torch.as_tensor(data.train_labels, dtype=torch.long), data.test_labels[:200]

# %% A snnTorch net. beta = 1/2 is a shift; the reset mechanisms may differ from layer to layer
net = nn.Sequential(
    nn.Linear(25, 24),
    snn.Leaky(0.5, init_hidden=True),
    nn.Linear(24, 10),
    snn.Leaky(0.5, init_hidden=True, reset_mechanism="zero"),
)


def counts_of(x: np.ndarray) -> torch.Tensor:
    """Spikes of each output neuron, by snnTorch's own forward pass."""
    for layer in (net[1], net[3]):
        layer.mem = torch.zeros(0)
    steps = [net(torch.as_tensor(x[:, t], dtype=torch.float32)) for t in range(STEPS)]
    return torch.stack(steps).sum(dim=0)


# %% Train it
optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(5):
    for batch in torch.randperm(len(y_train)).split(100):
        loss = nn.functional.cross_entropy(counts_of(x_train[batch.numpy()]), y_train[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
with torch.no_grad():
    float_accuracy = float((counts_of(x_test).argmax(dim=1).numpy() == y_test).mean())

# %% To integers: 6-bit weights; the import says everything that it had to assume
imported = import_module(net, steps=STEPS, bits=6)
for assumption in imported.assumed:
    print(f"{assumption.what:30} {assumption.value} ({assumption.why})")
network = imported.network
integer_accuracy = float((predict(network, run(network, {"input": x_test})) == y_test).mean())

# %% Onto a chip, through its RTL: every spike, every membrane, every cycle
chip = preset("tiny")
image = map_network(network, chip)  # the net needs more than one such core: the parts take turns
stimulus = Stimulus.pack({"input": x_test}, y_test)
result = verify(network, image, stimulus, ["golden", "pysim", "verilator"])
print(*result.pairs, sep="\n")
print(
    f"accuracy: snnTorch {float_accuracy:.1%}, integer {integer_accuracy:.1%}, "
    f"RTL {result.score('verilator'):.1%}"
)
print(f"cycles: predicted {result.cycles_predicted:,}, measured {result.cycles_measured:,}")
assert result.equal, result.failures()
