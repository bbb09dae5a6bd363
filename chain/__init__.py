"""CHAIN: self-supervised video hashing (arXiv 2310.18926) and its baselines."""
