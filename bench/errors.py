"""What a user did wrong, said in one line: given, expected, what to do. The command line exits with 2."""


class BenchError(Exception):
    """Bad input from the user; the message is shown alone, without a traceback."""


class DataProblem(BenchError):
    """A file of a dataset that cannot be used as it is; names the file."""
