"""``python -m tests.campaigns.fuzz [INPUTS [SEED [READER ...]]]``: the campaign and its table.

INPUTS of all readers together (51,000). Exit status 1 if anything but a refusal or an accepted
input was seen.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.campaigns.fuzz.campaign import alone, campaign, table
from tests.campaigns.fuzz.readers import readers, ready


def main(arguments: list[str]) -> int:
    total = int(arguments[0]) if arguments else 51_000
    seed = int(arguments[1]) if len(arguments) > 1 else 0
    names = arguments[2:] or list(readers())
    ready()
    with tempfile.TemporaryDirectory(prefix="spikeloop-fuzz-") as name:
        here = os.getcwd()
        os.chdir(name)
        os.environ |= {"XDG_CACHE_HOME": name, "TMPDIR": name, "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode, tempfile.tempdir = True, name
        alone(Path(name))
        rows = campaign(-(-total // len(names)), seed, Path(name), names)
        os.chdir(here)
        print(table(rows))
        for row in rows:
            for fault in row.faults:
                print(fault)
        return int(any(row.exceptions or row.hangs or row.large for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
