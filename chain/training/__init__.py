"""The one training loop of all methods, and the encoding of a data set with a trained one."""

from chain.training.encode import encode_store
from chain.training.loop import train

__all__ = ["encode_store", "train"]
