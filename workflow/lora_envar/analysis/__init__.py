"""Analysis: methods by the name that they have in the configuration, and what they share.

Snakemake reads this at every start, to know what each method needs: nothing here imports torch.
"""

from ..registry import Registry
from .method import Method

METHODS = Registry("methods", Method)
