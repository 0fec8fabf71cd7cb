"""Mutants of a source: one small edit each, found in its syntax tree.

    operator     + - & | ^ << >> become another of them
    comparison   == and !=, < and <=, > and >= change places
    constant     an integer becomes one more or one less
    negation     a ~ is dropped
    condition    the condition of If or Elif is inverted; the choices of a Mux change places;
                 any and all change places
    assignment   an assignment, a connection or a next state is dropped

Only what functions do is mutated: not their names, defaults and types, and no text.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KINDS", "Mutant", "mutants"]

KINDS = ("operator", "comparison", "constant", "negation", "condition", "assignment")
OPERATORS = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
COMPARISONS = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
}
SWAPPED = {"any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One edit of ``hdl/<file>``: ``old`` at ``line`` (from 1) and ``at`` becomes ``new``.

    at: offset into the source. function: its name and first line; ("<module>", 1) outside of all.
    """

    file: str
    kind: str
    line: int
    at: int
    old: str
    new: str
    function: tuple[str, int]

    @property
    def name(self) -> str:
        """What it is known by, in one line."""
        return f"{self.file}:{self.line}: {_flat(self.old)} -> {_flat(self.new)}"

    def applied(self, source: str) -> str:
        assert source[self.at : self.at + len(self.old)] == self.old
        return source[: self.at] + self.new + source[self.at + len(self.old) :]


def _flat(text: str) -> str:
    return " ".join(text.split()) or "nothing"


def mutants(root: Path, file: str) -> list[Mutant]:
    """All mutants of ``root / file``, in the order of the source."""
    source = (root / file).read_text()
    finder = _Finder(file, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda mutant: (mutant.at, mutant.new))


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str, source: str):
        self.file, self.source, self.found = file, source, []
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.functions = [("<module>", 1)]

    # -- places ----------------------------------------------------------------------------------

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Offsets of a node. The sources are ASCII where it matters: a column is a character."""
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, kind: str, start: int, end: int, new: str) -> None:
        line = self.source.count("\n", 0, start) + 1
        old = self.source[start:end]
        self.found.append(Mutant(self.file, kind, line, start, old, new, self.functions[-1]))

    def between(self, left: ast.expr, right: ast.expr, symbols: tuple[str, str], kind: str) -> None:
        """Another symbol between two operands."""
        end = self.span(left)[1]
        at = self.source.index(symbols[0], end, self.span(right)[0])
        self.add(kind, at, at + len(symbols[0]), symbols[1])

    # -- what is left alone ----------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        self.functions.append((node.name, first))
        for statement in node.body:
            self.visit(statement)
        self.functions.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_Raise(self, node: ast.Raise) -> None: ...

    def visit_Assert(self, node: ast.Assert) -> None: ...

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    # -- what is mutated -------------------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if symbols := OPERATORS.get(type(node.op)):
            self.between(node.left, node.right, symbols, "operator")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1 and (symbols := COMPARISONS.get(type(node.ops[0]))):
            self.between(node.left, node.comparators[0], symbols, "comparison")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if type(node.value) is int:
            start, end = self.span(node)
            for value in {node.value + 1, max(node.value - 1, 0)} - {node.value}:
                self.add("constant", start, end, str(value))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Invert):
            start, _ = self.span(node)
            self.add("negation", start, start + 1, "")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("If", "Elif"):
            start, end = self.span(node.args[0])
            self.add("condition", start, end, f"({self.source[start:end]}) == 0")
        if name == "Mux":
            (a, b), (c, d) = self.span(node.args[1]), self.span(node.args[2])
            text = self.source
            self.add("condition", a, d, text[c:d] + text[b:c] + text[a:b])
        if name in SWAPPED and isinstance(node.func, ast.Attribute):
            end = self.span(node.func)[1]
            self.add("condition", end - len(name), end, SWAPPED[name])
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """``m.d.x += ...`` and ``m.submodules += ...``; in a list, each assignment alone."""
        if symbols := OPERATORS.get(type(node.op)):
            if _is_assignment(node.value):
                self.add("assignment", *self.span(node.value), "[]")
            elif not isinstance(node.value, ast.List) and ast.unparse(node.target)[:3] != "m.d":
                pair = (f"{symbols[0]}=", f"{symbols[1]}=")
                self.between(node.target, node.value, pair, "operator")
        self.generic_visit(node)

    def visit_List(self, node: ast.List) -> None:
        for element in node.elts:
            if _is_assignment(element):
                self.add("assignment", *self.span(element), "*()")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) == "m.next":
            self.add("assignment", *self.span(node), "pass")
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if ast.unparse(node).startswith(("wiring.connect(", "connect(")):
            self.add("assignment", *self.span(node), "pass")
        self.generic_visit(node)


def _is_assignment(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "eq"
