"""The command `chain` where the package is not installed: `python -m chain`."""

from chain.cli import main

main()
