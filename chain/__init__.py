"""CHAIN: self-supervised video hashing (arXiv 2310.18926) and its baselines."""

__version__ = "0.1.0"
