"""Derives every number of a result folder again from its files."""
