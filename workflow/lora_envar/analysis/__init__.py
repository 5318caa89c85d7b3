"""Analysis: the methods by their names in the configuration, and what they share.

Snakemake imports this at every start to know what each method needs, so nothing here imports torch.
"""

from ..registry import Registry
from .method import Method

METHODS = Registry("methods", Method)
