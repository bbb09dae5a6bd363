"""The one training loop of all methods, and the encoding of a data set with a trained one."""
