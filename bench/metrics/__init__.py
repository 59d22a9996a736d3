"""Metrics, one idea per file; pure functions on arrays."""
