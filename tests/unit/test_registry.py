"""Registries find what is defined, and nothing twice."""

import sys

import lora_envar
import pytest
from lora_envar import registry


class Base:
    name = ""


MODULE = """
from test_registry import Base


class {cls}(Base):
    name = {name!r}


class Shared(Base):
    '''A part of several, of no name.'''
"""


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """Two rooms beside those of the package, each with a package `things`."""
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    monkeypatch.setattr(lora_envar, "__path__", [*lora_envar.__path__, str(tmp_path)])
    for room in ("one_room", "another_room"):
        things = tmp_path / room / "things"
        things.mkdir(parents=True)
        (things.parent / "__init__.py").touch()
        (things / "__init__.py").touch()
    yield tmp_path
    for name in [name for name in sys.modules if "_room" in name]:
        del sys.modules[name]


def test_what_is_defined_in_any_room_is_found_by_its_name(rooms):
    (rooms / "one_room" / "things" / "z.py").write_text(MODULE.format(cls="A", name="a"))
    (rooms / "another_room" / "things" / "y.py").write_text(MODULE.format(cls="B", name="b"))
    found = registry.Registry("things", Base)
    assert {name: cls.__name__ for name, cls in found.items()} == {"a": "A", "b": "B"}


def test_a_name_that_two_have_is_refused(rooms):
    (rooms / "one_room" / "things" / "z.py").write_text(MODULE.format(cls="A", name="a"))
    (rooms / "another_room" / "things" / "y.py").write_text(MODULE.format(cls="B", name="a"))
    with pytest.raises(
        TypeError, match=r"one_room\.things\.z: the name 'a' is already that of .*another_room\.things\.y"
    ):
        list(registry.Registry("things", Base))
