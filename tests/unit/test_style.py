"""One statement a line: what is assigned together belongs together."""

import ast

import pytest
from conftest import ROOT

MODULES = sorted((ROOT / "workflow").rglob("*.py"))


def saved_lines(tree):
    """Assignments to several names of values that do not come from one place."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        paired = isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple | ast.GeneratorExp)
        if paired or len(node.targets) > 1:
            yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "workflow")))
def test_no_assignment_saves_a_line(path):
    assert list(saved_lines(ast.parse(path.read_text()))) == []


def test_what_is_looked_for_is_found():
    code = "a, b = x, y\nc, d = (f(i) for i in j)\ne = g = 1\nh, i = f()\n"
    assert len(list(saved_lines(ast.parse(code)))) == 3
