"""The study of spoken digits, on random recordings: its rows, its nets, and that it goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spikeloop.cosim.studies import spoken_digits
from spikeloop.pysim.network.graph import Network


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snntorch", reason="package snntorch is not installed")
    generator = torch.Generator().manual_seed(0)

    def recordings() -> tuple[spoken_digits.Data, spoken_digits.Data]:
        labels = torch.arange(40) % 10
        x = (torch.rand(40, 6, spoken_digits.LINES, generator=generator) < 0.3).float()
        return (x, labels), (x[:20], labels[:20])

    monkeypatch.setattr(spoken_digits, "recordings", recordings)
    for name, value in (
        ("STEPS", 6), ("HIDDEN", 12), ("EPOCHS", 1), ("CHOOSING", 1), ("TUNING", 1),
        ("HELD_OUT", 10), ("ALPHAS", (0.6,)), ("BETAS", (0.7, 0.8)), ("BITS", (8, 4)),
    ):  # fmt: skip
        monkeypatch.setattr(spoken_digits, name, value)


def test_every_row_is_there_and_kept(small: None, tmp_path: Path) -> None:
    said: list[str] = []
    rows = spoken_digits.study(tmp_path, 0, said.append)
    keys = {"decays", "float", "imported"}
    keys |= {f"{form} {what}" for form in ("8", "4", "1 terms", "2 terms", "3 terms")
             for what in ("rounded", "trained")}  # fmt: skip
    assert rows.keys() == keys
    assert all(0 <= value <= 100 for key, value in rows.items() if key != "decays")
    again: list[str] = []
    assert spoken_digits.study(tmp_path, 0, again.append) == rows
    assert said and not again, "what is kept is not done again"
    network = Network.load(tmp_path / "0-4.safetensors")
    assert network.current_bits == 24 and network.population("hidden").has_current
    assert network.population("hidden").weight_bits == 4


def test_terms_of_a_decay(small: None, tmp_path: Path) -> None:
    spoken_digits.study(tmp_path, 1, lambda _: None)
    fine = Network.load(tmp_path / "1-fine.safetensors")
    for terms in (1, 2, 3):
        p = spoken_digits.with_terms(fine, (0.8, 0.9), terms).population("hidden")
        for sign in (p.leak_sign, p.current_sign):
            assert (np.count_nonzero(sign, axis=1) <= terms).all() and sign.any()
        assert p.has_current and (p.gain == fine.population("hidden").gain).all()
