"""The one exception for what a user can mend: bad input, bad settings, missing files."""


class InputError(ValueError):
    """Something given to unipan is wrong. The message is one sentence or two: what came, what was expected, what to do.

    The command line prints the message alone and exits with 2; every other exception is a fault of ours and keeps its traceback.
    """
