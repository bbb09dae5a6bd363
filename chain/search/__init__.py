"""Search: an index over the codes of a data set, which finds the clips most like a new video."""
