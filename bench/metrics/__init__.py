"""Metrics, one idea per file: pure functions, arrays in and floats out."""
