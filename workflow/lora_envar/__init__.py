"""LoRA-EnVar: hybrid ensemble-variational data assimilation with a learned background error."""

__version__ = "0.1.0"
