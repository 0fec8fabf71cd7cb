"""The glossary has every word that the arithmetic and the architecture define, and no dead one."""

import re

from tests.conftest import ROOT

DOCS = ROOT / "docs"
DEFINING = ("arithmetic.md", "architecture.md")

# The words of the design that the pages use without marking where they define them.
COMMON = (
    *("spike", "event", "AER", "axon", "synapse", "neuron", "population", "core", "tick"),
    *("period", "membrane", "threshold", "leak", "bias", "refractory", "fan-in", "lane"),
    *("word", "step", "SOP", "slot", "stimulus", "trace", "image", "page", "reset"),
)


def glossary() -> dict[str, str]:
    """Meaning by word, in the order of the page."""
    return dict(rows())


def rows() -> list[tuple[str, str]]:
    """Word and meaning, without the head of the table."""
    text = (DOCS / "glossary.md").read_text()
    return re.findall(r"^\| (.+?) \| (.+) \|$", text, re.MULTILINE)[1:]


def defined(text: str) -> set[str]:
    """The words a page sets in italics where it defines them, and those that open a paragraph."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    italics = re.findall(r"(?<![*\w])\*(\w[\w -]*)\*(?![*\w])", prose)
    openings = re.findall(r"^\*\*(\w[\w -]*)\.\*\*", prose, re.MULTILINE)
    return {singular(word.lower()) for word in [*italics, *openings]}


def singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def parameters(text: str) -> set[str]:
    """The names in the first column of the parameter table of the arithmetic."""
    table = text.partition("| parameter |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    return {re.match(r"\w+", name)[0] for cell in cells for name in re.findall(r"`(.+?)`", cell)}


def test_words_stand_once_in_order_with_a_short_meaning() -> None:
    words = [word for word, _ in rows()]
    assert len(words) == len(set(words)) > 60
    assert words == sorted(words, key=str.casefold)
    long = [word for word, text in glossary().items() if len(re.findall(r"[.:](?: |$)", text)) > 4]
    assert long == []


def test_every_word_that_a_page_defines_is_there() -> None:
    words = {word.lower() for word in glossary()}
    for name in DEFINING:
        missing = defined((DOCS / name).read_text()) - words
        assert missing == set(), name
    assert {word.lower() for word in COMMON} - words == set()


def test_every_parameter_of_the_arithmetic_is_there() -> None:
    names = parameters((DOCS / "arithmetic.md").read_text())
    assert len(names) > 15
    text = (DOCS / "glossary.md").read_text()
    known = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert {name for name in names if name not in known and f"| {name} |" not in text} == set()


def test_every_word_is_used() -> None:
    pages = [path for path in DOCS.glob("*.md") if path.name != "glossary.md"]
    prose = "\n".join(path.read_text() for path in [*pages, ROOT / "README.md"]).lower()
    unused = [w for w in glossary() if not re.search(rf"\b{re.escape(w.lower())}", prose)]
    assert unused == []


def test_a_missing_word_is_seen() -> None:
    assert defined("A *crossing* of `*axons*` and *lanes*.\n\n**Words.** 2 * 3 * 4") == {
        "crossing",
        "lane",
        "word",
    }
