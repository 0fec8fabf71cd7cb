"""The verdict of a run as JUnit XML, for the pages of CI servers (``spikeloop compare --junit``).

    classname  the pair, such as golden = verilator
    name       what was compared: a population, counter values, currents of the PIM layer
    failure    the first difference there

One more case, ``run: proof``, fails for the other reasons of a verdict: silent populations, events
that were dropped. Like summary.json it holds no times.
"""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from spikeloop.cosim.compare.pair import COUNTERS, Difference
from spikeloop.pysim.common.files import write_atomic

__all__ = ["document", "write"]


def write(path: Path, summary: dict[str, Any], name: str) -> Path:
    """Write the verdict of ``summary`` (the content of summary.json) on network ``name``."""
    root = document(summary, name)
    ET.indent(root)
    data = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return write_atomic(path, data + b"\n")


def document(summary: dict[str, Any], name: str) -> ET.Element:
    """The verdict as an element ``testsuites`` with one ``testsuite``."""
    cases = [case for pair in summary["pairs"] for case in _cases(pair)]
    others = [reason for reason in summary["failures"] if not _of_a_pair(reason, summary["pairs"])]
    cases.append(_case("run", "proof", "; ".join(others) or None))
    counts = {
        "name": f"spikeloop compare {name}",
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
    }
    root = ET.Element("testsuites", {k: v for k, v in counts.items() if k != "name"})
    suite = ET.SubElement(root, "testsuite", counts)
    suite.extend(cases)
    return root


def _cases(pair: dict[str, Any]) -> list[ET.Element]:
    who = f"{pair['reference']} = {pair['backend']}"
    wrong = {name: pair["by_population"][name] for name in pair["by_population"]}
    if pair["counter_values"]:
        wrong[COUNTERS] = sum(pair["counters_different"].values())
    if pair["currents"]:
        wrong["currents"] = pair["currents_different"]
    if pair["ends"]:
        wrong["last values"] = pair["ends_different"]
    cases = []
    for name, count in wrong.items():
        message = None
        if count:
            first = pair["firsts"].get(name) or pair["first"]
            message = f"{count:,} different, first at {Difference(**first)}"
        cases.append(_case(who, name, message))
    return cases


def _case(who: str, name: str, message: str | None) -> ET.Element:
    case = ET.Element("testcase", {"classname": who, "name": name})
    if message:
        ET.SubElement(case, "failure", {"message": message}).text = message
    return case


def _of_a_pair(reason: str, pairs: list[dict[str, Any]]) -> bool:
    return any(reason.startswith(f"{p['reference']} against {p['backend']}: ") for p in pairs)
