"""Hatch's hook for an editable install: ``spikeloop`` is the one name it adds to the path.

``.editable/spikeloop`` is a link to ``spikeloop/``, and ``.editable`` is what goes on the path. The
root itself would add ``tests`` and ``docs`` as top-level names. Archives hold no links, so an
unpacked one gets the links of ``spikeloop/`` here. A wheel needs none of this: it has the folders.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("cosim", "golden", "hdl", "pysim")


class EditableLinks(BuildHookInterface):
    """Makes the links that are missing; does nothing for a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            return
        root = Path(self.root)
        links = {root / "spikeloop" / name: f"../{name}" for name in PACKAGES}
        links[root / ".editable" / "spikeloop"] = "../spikeloop"
        for link, target in links.items():
            link.parent.mkdir(exist_ok=True)
            if not link.exists():
                link.symlink_to(target)
