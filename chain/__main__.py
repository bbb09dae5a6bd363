"""The command `chain`, also as `python -m chain` where the package is not installed."""

from chain.core.errors import errors_of_one_line


def main() -> None:
    """Run the command. Its modules take a second to load, and Ctrl-C may come meanwhile."""
    with errors_of_one_line():
        from chain.cli import main as run

        run()


if __name__ == "__main__":
    main()
