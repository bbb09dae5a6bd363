"""Retrieval with binary codes: Hamming distances, relevance, and the metrics that follow."""
