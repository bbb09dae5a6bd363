"""This package holds the paper's claims as data, and decides them from the pipeline's results."""
