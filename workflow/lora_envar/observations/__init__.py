"""Observations: where they come from, tables in files, quality control, and operators."""

from ..registry import Registry
from .network import Network

NETWORKS = Registry("networks", Network)
