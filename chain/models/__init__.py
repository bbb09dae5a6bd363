"""Temporal encoders, hash layers and batched clustering."""
