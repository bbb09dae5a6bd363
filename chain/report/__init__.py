"""The run's results as one self-contained HTML page, and the block of results in the README."""
