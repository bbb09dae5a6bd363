"""Decoding: video files become one packed array of frames."""
