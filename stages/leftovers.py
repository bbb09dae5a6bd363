"""List what killed runs left behind, and remove it if asked to (not a pipeline stage)."""

import argparse
from pathlib import Path

from chain.core.errors import errors_of_one_line
from chain.core.leftovers import find_leftovers, remove_leftover, size
from stages.common import ARTIFACTS

FOLDERS = (ARTIFACTS, Path(".kept"), Path("data"), Path("metrics"), Path("plots"))


def leftovers(remove: bool) -> str:
    found = find_leftovers(FOLDERS)
    total = 0
    for path in found:
        total += (taken := size(path))
        print(f"{taken / 1e6:10.1f} MB  {path}")
        if remove:
            remove_leftover(path)
    if not found:
        return "leftovers: none"
    done = "removed" if remove else "remove them with --remove, or run their stages again to go on"
    return f"leftovers: {len(found)} of {total / 1e6:.1f} MB; {done}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--remove", action="store_true", help="remove what is listed")
    with errors_of_one_line():
        print(leftovers(parser.parse_args().remove))
