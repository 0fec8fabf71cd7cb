"""Faults on the wire to a board: the campaign keeps its promises, and a broken link breaks them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns.fault_list import Fault
from tests.campaigns.faults import environment, plant, stale
from tests.campaigns.hil_faults import FAULTS, KILL, RESET, STALL, campaign

BROKEN = [
    Fault(
        "crc-unread",
        "link/framing.py",
        "~over & crc.match_detected &",
        "~over &",
        "frames are done whatever their CRC",
    ),
    Fault(
        "done-twice",
        "link/sequencer.py",
        "m.d.comb += self.again.eq(1)",
        'm.next = "REPLY"',
        "a frame that comes twice is done twice",
    ),
    Fault(
        "no-session",
        "link/sequencer.py",
        "with m.Elif(session & (number == (last + 1)[:8])):",
        "with m.Elif(1):",
        "any sequence is taken",
    ),
]


@pytest.mark.slow
def test_8_000_faulted_frames(seed: int) -> None:
    """0 undetected, lost or doubled; done after at most 3 retries, or a typed failure in 5 s."""
    result = campaign(8_000, seed)
    print(dict(result.faulted), result.operations)
    assert result.faulted.total() >= 8_000
    assert all(result.faulted[name] > 40 for name in (*FAULTS, STALL, RESET, KILL))
    assert (result.undetected, result.lost, result.doubled) == (0, 0, 0), f"seed {seed}"
    assert max(result.retries) <= 3 and result.longest < 5
    assert result.operations > 4_000


def test_every_fault_applies_to_the_sources_as_they_are() -> None:
    assert stale(BROKEN) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.name)
def test_a_broken_link_breaks_a_promise(fault: Fault, tmp_path: Path) -> None:
    tree = plant(fault, tmp_path / "tree")
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.hil_faults", "3000"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env=environment(tree, own_cache=True),
    )
    print(done.stdout, done.stderr[-2000:])
    assert done.returncode == 1 and "kept" not in done.stdout
