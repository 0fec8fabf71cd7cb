"""`quantize` and `widths` of an imported network: other bits, and the options it does not take."""

from pathlib import Path

import pytest

from spikeloop.pysim.network.graph import Network
from tests.cosim.cli.test_app import refused, spikeloop
from tests.cosim.conftest import Small


@pytest.mark.parametrize("of", ["folder", "file"])
def test_an_import_gets_other_bits(
    of: str, small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = small.folder if of == "folder" else small.folder / "network.safetensors"
    status, _, err = spikeloop(capfd, "quantize", source, "--bits", 3, "-o", tmp_path / "n")
    assert status == 0, err
    made = Network.load(tmp_path / "n")
    assert [p.weight_bits for p in made.populations] == [3, 3]
    assert made.membrane_bits == small.network.membrane_bits


OPTIONS = {
    "quantize": {"--data": "data", "--scale": "layer", "--leak-terms": 2, "--membrane-bits": 24},
    "widths": {"--data": "data", "--scale": "layer"},
}
CASES = [(command, option) for command, options in OPTIONS.items() for option in options]


@pytest.mark.parametrize(("command", "option"), CASES)
def test_options_of_float_nets_are_refused(
    command: str, option: str, small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Even with the value that a float net has by default: nothing is ignored."""
    given = command, small.folder, option, OPTIONS[command][option], "-o", tmp_path / "n"
    sentence = refused(capfd, tmp_path, *given)
    assert sentence.startswith(f"net for {option} must be a float net of spikeloop train, not an")
