"""`python scripts/mutants.py [--least SHARE] [--jobs N] [MODULE ...]`: does a test fail when the code is wrong?

Each mutant is one small change of one module of the core: a comparison, a boolean, an operator, a number, a returned
value, a condition or a step left out. It lives in a process of its own, whose import of that module finds the mutant;
no file is touched. The tests of that module run against it until the first that fails. A mutant that none notices is
printed. Exit status 1 if fewer than 90 % are noticed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "src" / "seawall" / "core"
# The tests of each module, the quickest first: most mutants don't live to see the second file.
TESTS = {
    "breaker": ("breaker", "breaker_interleavings", "guard", "guard_machine"),
    "circuit": ("breaker", "guard"),
    "circuits": ("guard", "guard_machine"),
    "guard": ("guard", "guard_machine"),
    "bulkhead": ("bulkhead", "guard", "guard_machine"),
    "limit": ("limit", "bulkhead"),
    "window": ("window", "breaker"),
    "retry": ("retry", "dispatch"),
    "budget": ("budget", "retry_gate"),
    "adaptive": ("retry_gate",),
    "retry_gate": ("retry_gate", "budget"),
    "alerts": ("alerts",),
    "alert_watch": ("alert_watch",),
    "reach": ("reach",),
}
# No plugin, no conftest and none of the project's settings: what these tests don't need costs more than they do.
PYTEST_OPTIONS = (
    *("-x", "-q", "-c", os.devnull, "--rootdir", str(ROOT), "--noconftest", "--import-mode=importlib"),
    *("-p", "no:cacheprovider", "-p", "no:terminalreporter"),
)
EXAMPLES = 25
SLOWEST_SECONDS = 60.0

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
# What is written for people or the type checker has no behaviour to test.
UNTOUCHED = (ast.JoinedStr, ast.Raise, ast.Import, ast.ImportFrom, ast.arg)


@dataclass(frozen=True)
class Mutant:
    """One change of a module's tree, made only in the process that runs it."""

    module: str
    tree: ast.Module
    parent: ast.AST
    field: str
    place: int | None
    original: ast.AST
    variant: ast.AST

    def __str__(self) -> str:
        line = self.original.lineno  # type: ignore[attr-defined]  # expressions and statements have one
        return f"{self.module}.py:{line}: {shown(self.original)}  ->  {shown(self.variant)}"

    def made(self) -> ast.Module:
        """The tree with the change in it, for good."""
        ast.copy_location(self.variant, self.original)
        if self.place is None:
            setattr(self.parent, self.field, self.variant)
        else:
            getattr(self.parent, self.field)[self.place] = self.variant
        return ast.fix_missing_locations(self.tree)


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """The small changes of one node."""
    match node:
        case ast.Compare(ops=[op]):
            for other in COMPARISONS[type(op)]:
                yield replaced(node, ops=[other()])
        case ast.BoolOp(op=op):
            yield replaced(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield replaced(node, op=OPERATORS[type(op)]())
            if isinstance(node, ast.AugAssign):
                yield ast.Pass()
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.If() | ast.IfExp() | ast.While() if isinstance(
            node.test, ast.Name | ast.Attribute | ast.Call
        ):
            yield replaced(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Expr(value=ast.Call()) | ast.Assign(targets=[ast.Attribute()]):
            yield ast.Pass()


def replaced(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every node that may be changed, as its parent, the field and the place in it."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list"} or (
            isinstance(node, ast.ClassDef) and name == "keywords"
        ):
            continue
        children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for place, child in children:
            if isinstance(child, ast.AST) and not isinstance(child, UNTOUCHED):
                yield node, name, place
                yield from places(child)


def mutants(module: str) -> Iterator[Mutant]:
    tree = ast.parse((CORE / f"{module}.py").read_text(), module)
    for parent, field, place in places(tree):
        value = getattr(parent, field)
        original = value if place is None else value[place]
        for variant in variants(original):
            yield Mutant(module, tree, parent, field, place, original, variant)


def shown(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


class MutantLoader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the mutant where its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = f"seawall.core.{mutant.module}"

    def find_spec(self, fullname: str, path: object, target: object = None) -> object:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: object) -> None:
        exec(compile(self.mutant.made(), f"{self.mutant.module} (mutant)", "exec"), module.__dict__)  # noqa: S102 - our own source


def start(module: str, mutant: Mutant | None) -> int:
    """Run the module's tests in a process of its own, which ends with pytest's exit status."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if mutant is not None:
            sys.meta_path.insert(0, MutantLoader(mutant))
        files = [f"tests/core/test_{name}.py" for name in TESTS[module]]
        status = int(pytest.main([*PYTEST_OPTIONS, *files]))
    finally:
        os._exit(status)


def survivors(everything: list[Mutant], jobs: int) -> list[Mutant]:
    """Run them all, some at a time."""
    survived: list[Mutant] = []
    running: dict[int, tuple[Mutant, float]] = {}
    waiting = list(reversed(everything))
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[start(mutant.module, mutant)] = (mutant, time.monotonic())
        for child, (mutant, since) in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del running[child]
                if os.waitstatus_to_exitcode(status) == 0:
                    survived.append(mutant)
                    print(mutant, flush=True)
            elif time.monotonic() - since > SLOWEST_SECONDS:
                os.kill(child, signal.SIGKILL)  # it hangs: noticed, when it is waited for
        time.sleep(0.005)
    return survived


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"only these: {', '.join(TESTS)}")
    parser.add_argument(
        "--least", type=float, default=0.9, metavar="SHARE", help="of the mutants to be noticed"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at a time"
    )
    asked = parser.parse_args()
    names = asked.modules or list(TESTS)
    unknown = [name for name in names if name not in TESTS]
    if unknown:
        parser.error(f"no tests are listed for {', '.join(unknown)}; there are {', '.join(TESTS)}")
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    hypothesis.settings.register_profile(
        "mutants",
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutants")
    for name in names:
        _, status = os.waitpid(start(name, None), 0)
        if status:
            print(
                f"the tests of {name} fail as it is: nothing can be learnt from its mutants", file=sys.stderr
            )
            return 2
    everything = [mutant for name in names for mutant in mutants(name)]
    survived = survivors(everything, asked.jobs)
    for name in names:
        total = sum(mutant.module == name for mutant in everything)
        left = sum(mutant.module == name for mutant in survived)
        print(f"{name:12} {total - left:4} of {total:4} noticed, {1 - left / total:.1%}")
    share = 1 - len(survived) / len(everything)
    print(f"{'all':12} {len(everything) - len(survived):4} of {len(everything):4} noticed, {share:.1%}")
    return 0 if share >= asked.least else 1


if __name__ == "__main__":
    sys.exit(main())
