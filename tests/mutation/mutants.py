"""Small faults in a Python module, one at a time: what a test suite must notice.

Texts for people are left alone (a changed word is no fault that a test should know); cause ids in them are not.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
}
# The answers a check can give, and functions whose opposite is a likely mistake.
NAMES = {"fail": "warn", "warn": "fail", "ok": "skip", "any": "all", "all": "any", "min": "max", "max": "min"}
STATUSES = {"FAIL": "WARN", "WARN": "FAIL", "OK": "SKIP", "SKIP": "OK", "CRASH": "FAIL"}


@dataclass(frozen=True)
class Mutant:
    """One changed module: where, what was changed into what, and its whole new source."""

    line: int
    change: str
    source: str


def mutants(source: str, causes: frozenset[str]) -> Iterator[Mutant]:
    """Every mutant of `source`. A string of `causes` becomes another of them."""
    tree = ast.parse(source)
    passed_over = _passed_over(tree)
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in passed_over:
            continue
        for number, (change, apply) in enumerate(_changes(node, causes)):
            changed = copy.deepcopy(tree)
            target = next(item for place, item in enumerate(ast.walk(changed)) if place == index)
            again = _changes(target, causes)[number][1]
            assert callable(apply)
            again()
            text = ast.unparse(ast.fix_missing_locations(changed))
            yield Mutant(getattr(node, "lineno", 0), change, text)


def _passed_over(tree: ast.AST) -> set[int]:
    """Annotations and decorators, and the bounds of slices: how many lines of evidence are shown is taste."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AnnAssign, ast.arg)):
            roots += [getattr(node, "returns", None), getattr(node, "annotation", None)]
            roots += getattr(node, "decorator_list", [])
        elif isinstance(node, ast.ClassDef):
            roots += node.decorator_list
        elif isinstance(node, ast.Slice):
            roots += [node.lower, node.upper]
    return {id(item) for root in roots if root is not None for item in ast.walk(root)}


Change = tuple[str, Callable[[], None]]


def _changes(node: ast.AST, causes: frozenset[str]) -> list[Change]:
    """What can be done to this node, as a text and a function that does it in place."""
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        return [(f"if not ({ast.unparse(node.test)})", lambda: setattr(node, "test", _not(node.test)))]
    if isinstance(node, ast.comprehension):
        return [(f"no filter {ast.unparse(test)}", lambda test=test: node.ifs.remove(test)) for test in node.ifs]
    if isinstance(node, ast.Compare):
        return _comparison(node)
    if isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        return [(f"{other.__name__} in {ast.unparse(node)}", lambda: setattr(node, "op", other()))]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        operator = OPERATORS[type(node.op)]
        return [(f"{operator.__name__} in {ast.unparse(node)}", lambda: setattr(node, "op", operator()))]
    if isinstance(node, ast.Return):
        return _return(node)
    if isinstance(node, ast.AugAssign):
        return [(f"without {ast.unparse(node)}", lambda: setattr(node, "value", ast.Tuple([], ast.Load())))]
    return _leaf(node, causes)


def _comparison(node: ast.Compare) -> list[Change]:
    changes: list[Change] = []
    for place, operator in enumerate(node.ops):
        other = COMPARISONS[type(operator)]
        text = f"{other.__name__} in {ast.unparse(node)}"
        changes.append((text, lambda place=place, other=other: node.ops.__setitem__(place, other())))
    return changes


def _return(node: ast.Return) -> list[Change]:
    value = node.value
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return []
    return [(f"return None, not {ast.unparse(value)}", lambda: setattr(node, "value", ast.Constant(None)))]


def _leaf(node: ast.AST, causes: frozenset[str]) -> list[Change]:
    if isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        return [(f"{NAMES[node.id]}, not {node.id}", lambda: setattr(node, "id", NAMES[node.id]))]
    if isinstance(node, ast.Attribute) and node.attr in STATUSES:
        return [(f"{STATUSES[node.attr]}, not {node.attr}", lambda: setattr(node, "attr", STATUSES[node.attr]))]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        # `not x` becomes x: bool(x), so that the node's kind can stay.
        return [(f"without {ast.unparse(node)}", lambda: setattr(node, "operand", _not(node.operand)))]
    if not isinstance(node, ast.Constant):
        return []
    value = node.value
    if isinstance(value, bool):
        return [(f"{not value}", lambda: setattr(node, "value", not value))]
    if isinstance(value, int):
        return [(f"{value + 1}, not {value}", lambda: setattr(node, "value", value + 1))]
    if isinstance(value, str) and value in causes and value != "none":
        return [(f"another cause than {value}", lambda: setattr(node, "value", "none"))]
    return []


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)
