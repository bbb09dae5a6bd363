"""A hasher to take away: one folder that holds all there is between a video file and its code."""
