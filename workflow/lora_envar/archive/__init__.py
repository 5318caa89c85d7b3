"""Reanalysis archives: where they come from, and the one layout that they are brought to."""

from typing import Any

from ..registry import Registry
from .source import ArchiveSource

SOURCES = Registry("sources", ArchiveSource)


def named_files(section: dict[str, Any]) -> dict[str, str]:
    """The files and folders that a section `archive` of the configuration names, by their keys."""
    return SOURCES[section["source"]].named_files(section)
