"""Errors: bad input, told in one line (given, expected, what to do), and trainings that diverge."""


class BenchError(Exception):
    """Bad input from the user: the command line prints the message alone, with exit code 2."""


class DataProblem(BenchError):
    """A file of a data set that cannot be used as it is; the message names it."""


class NotFiniteError(ArithmeticError):
    """A loss or a probability is NaN or infinite."""
