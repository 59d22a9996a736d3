"""What a user did wrong, in one line (given, expected, what to do; exit code 2), and what a training did wrong."""


class BenchError(Exception):
    """Bad input from the user; the message is shown alone, without a traceback."""


class DataProblem(BenchError):
    """A file of a dataset that cannot be used as it is; names the file."""


class NotFiniteError(ArithmeticError):
    """A loss or a probability is NaN or infinite."""
