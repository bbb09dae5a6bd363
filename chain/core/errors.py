"""The one exception that a user is meant to read."""


class InputError(ValueError):
    """Something is wrong with the input; one line names the file or the parameter at fault."""
