"""Entry points of the DVC pipeline: `python -m stages.<name>`, one file a stage of `dvc.yaml`."""

import os

# A waiting thread spins for some microseconds and then sleeps. OpenMP's default spins for
# milliseconds, and on a machine shared with others a training step then takes a second, not a
# twentieth of one. Read when torch is loaded, which comes after this package.
os.environ.setdefault("GOMP_SPINCOUNT", "30000")
