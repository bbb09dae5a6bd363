"""A hasher to take away: one folder that holds all there is between a video file and its code."""

ABOUT = "hasher.json"
"""The file that describes a hasher."""
FORMAT = 1
"""The version of the folder's format."""
