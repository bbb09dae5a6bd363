"""Entry points of the DVC pipeline: `python -m stages.<name>`, one file a stage of `dvc.yaml`."""
