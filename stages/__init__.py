"""Entry points of the DVC pipeline: `python -m stages.<name>`, one file a stage of `dvc.yaml`."""

import os

# Threads that wait must not spin: on a shared machine they stall each other for seconds a step.
# OpenMP reads this when torch is loaded, which the stages do after this package.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
