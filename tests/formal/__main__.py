"""Proves the properties of the RTL, and shows that each proof finds a planted fault.

    python -m tests.formal [NAME ...]        (make formal; names choose properties)

A property is *proved*: for all inputs, in every cycle. Or it is *bounded(k)*: in the first k cycles
after power-up. What takes longer than its limit fails, and so does a proof that does not find its
planted fault. Exit status 1: one of these. Exit status 2: there is no such property.
"""

import sys

from tests.formal import CASES
from tests.formal.case import Case, find, run

ROW = "{:<18} {:<18} {:<12} {:<8} {:>6}  {}"


def report(case: Case) -> bool:
    """Print the line of a property, and tell whether it holds and its fault is found."""
    result = run(case)
    fault = find(case)
    found = fault.verdict == "refuted"
    what = f"{fault} {case.fault.name}" if found else f"{case.fault.name} NOT FOUND: {fault}"
    holds = result.verdict == ("proved" if case.cycles is None else "bounded")
    line = (result, result.engine, f"{result.seconds:.1f}", what)
    print(ROW.format(case.name, case.configuration, *map(str, line)), flush=True)
    if not holds and result.check:
        print(f"  fails: {result.check}", flush=True)
    return holds and found


def main(names: list[str]) -> int:
    unknown = set(names) - {case.name for case in CASES}
    if unknown:
        known = ", ".join(case.name for case in CASES)
        print(f"property must be one of {known}, not {sorted(unknown)[0]!r}", file=sys.stderr)
        return 2
    cases = [case for case in CASES if not names or case.name in names]
    print(ROW.format("property", "configuration", "result", "engine", "s", "planted fault"))
    held = sum([report(case) for case in cases])
    print(f"{held} of {len(cases)} hold, and find their planted fault")
    return 0 if held == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
