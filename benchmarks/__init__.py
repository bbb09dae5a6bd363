"""Measurements against what others use: `python -m benchmarks.<name>` prints a small table."""
