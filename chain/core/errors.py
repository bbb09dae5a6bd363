"""The one exception that a user is meant to read."""


class InputError(ValueError):
    """Bad input, told in one line that names the file or the parameter at fault."""
