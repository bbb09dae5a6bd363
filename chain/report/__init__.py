"""The run's results as one self-contained HTML page, and as a table in the README."""
