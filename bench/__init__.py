"""The harness of ScarceBench; it knows no method and no data set by name."""

__version__ = "0.1.0"
