"""Search: an index over the codes of a data set's clips, and what a new video is most like."""
