"""Python imports this at its start if the folder is on its path: it notes which files are opened.

Each stage of the pipeline appends to a file of its own in $TRACE: its command in the first line,
then each path that it, or a process of its, opened to read.
"""

import os
import sys

if "TRACE" in os.environ and any(word.startswith("stages.") for word in sys.orig_argv):
    _place = os.path.join(os.environ["TRACE"], f"{os.getpid()}.txt")
    _log = os.open(_place, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    _here, _seen = os.getcwd() + os.sep, set[str]()
    os.write(_log, (" ".join(["python", *sys.orig_argv[1:]]) + "\n").encode())

    def _note(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(os.fspath(arguments[0]))
        mode, flags = arguments[1], arguments[2]
        reads = mode[0] == "r" if isinstance(mode, str) else not int(str(flags)) & os.O_WRONLY
        if isinstance(path, str) and reads and path.startswith(_here) and path not in _seen:
            _seen.add(path)
            if not os.path.isfile(path):  # a folder that is being removed
                return
            os.write(_log, (path.removeprefix(_here) + "\n").encode())

    sys.addaudithook(_note)
