"""ScarceBench: the harness. Knows no method and no dataset by name."""

__version__ = "0.1.0"
