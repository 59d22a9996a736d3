"""Recomputes every number in a result folder from its files and reports differences."""
