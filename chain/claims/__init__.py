"""The paper's claims as data, and the code that decides them from the results of the pipeline."""
