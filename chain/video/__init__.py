"""From video files to one packed array of frames."""
