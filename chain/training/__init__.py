"""The one training loop of all methods, and the encoding of a data set with a trained one."""

from chain.training.encode import encode_store
from chain.training.loop import Run, train, train_run

__all__ = ["Run", "encode_store", "train", "train_run"]
