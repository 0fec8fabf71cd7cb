"""cosim.compare.crew: what the workers of a comparison open."""

from collections import Counter

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.backends import Golden, Pysim
from spikeloop.cosim.compare.compare import Case, compare
from tests.cosim.conftest import Small


def test_workers_share_the_models_and_nothing_else(small: Small) -> None:
    opened: Counter[str] = Counter()

    def opener(name: str) -> Backend:
        opened[name] += 1
        return Golden(small.network) if name == "golden" else Pysim(small.image)

    names = ["golden", "pysim", "simulator"]
    result = compare(Case(small.network, small.stimulus), names, opener, workers=2, chunk=1)
    assert result.different == 0 and result.failures() == []
    assert opened == {"golden": 1, "pysim": 1, "simulator": 2}
