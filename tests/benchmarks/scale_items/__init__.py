"""What `tests/benchmarks/scales.py` is made of: the configurations' worlds, what is timed, and how."""
