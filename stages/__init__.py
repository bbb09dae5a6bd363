"""Entry points of the DVC pipeline: `python -m stages.<name>`, one file a stage of `dvc.yaml`."""

import os

# A waiting thread sleeps at once. By default OpenMP lets it spin for milliseconds, which takes the
# core from the thread that it waits for where other programs run too, and a CNN is then many times
# slower (benchmarks/busy_neighbour.py). Read when torch is loaded, which comes after this package.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
