"""Digits learnt on the chip: a teacher makes one neuron spike, and its synapses follow.

    python examples/learn_on_chip.py

49 lines (28 x 28 pixels, averaged to 7 x 7), 10 neurons, the rule of ALSA. The same lesson runs on
the reference, on the model and on the RTL, and every weight update of them is compared. Most of
the minute is the RTL's build. `spikeloop lesson mnist` does the same with all 784 pixels.
"""

# %% Images, as spikes: a pixel spikes in a tick with a tenth of its brightness
import numpy as np

from spikeloop import Alsa, Lesson, PlasticPopulation, compare_lesson, load_mnist

IMAGES, TICKS = 200, 100
rng = np.random.default_rng(0)
data = load_mnist()  # 5,000 images of a package; load_mnist("FOLDER") for the four files of MNIST


def rates_of(images: np.ndarray) -> np.ndarray:
    """Spikes per tick, ``[image, 49]``."""
    return images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) / 255 / 10


rates, labels = rates_of(data.train_images[:IMAGES]), data.train_labels[:IMAGES]
spikes = rng.random((IMAGES, TICKS, 49)) < rates[:, None]

# %% The teacher: twice in a presentation it makes the neuron of the label spike
teacher = np.zeros((IMAGES, TICKS, 10), bool)
teacher[np.arange(IMAGES), 49::50, labels] = True

# %% Neurons with a threshold so high that only the teacher reaches it
one = 1 << 20  # a unit of potential
neurons = {"v_th": one // 2, "e_exc": one, "k_m": 655, "keep_e": 53657, "gate": 1}
rule = Alsa(eta=0.05, alpha=-0.5, tau=50.0)
population = PlasticPopulation.make(
    49, 10, **rule.settings(16), **neurons, w_teach=120 << 16, refractory=5, seed=1
)
lesson = Lesson.make(population, np.full((49, 10), 1 << 14), spikes, teacher=teacher, name="digits")

# %% Three ways to learn it, which must agree
result = compare_lesson(lesson, ["golden", "pysim", "verilator"])
for pair, text in result.rows().items():
    print(f"{pair:22} {text}")
assert result.equal, result.first

# %% What was learnt, on images that it never saw: the neuron whose weights fit the image best
weights = result.state.weights / 65536
fit = rates_of(data.test_images) @ (weights / np.linalg.norm(weights, axis=0))
print(f"right answers          {(fit.argmax(1) == data.test_labels).mean():.1%} of 1,000")
