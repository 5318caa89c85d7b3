"""Reanalysis archives: where they come from and the one layout they are brought into."""

from ..registry import Registry
from .source import ArchiveSource

SOURCES = Registry("sources", ArchiveSource)
