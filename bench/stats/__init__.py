"""Intervals, ranks and label efficiency of score tables; pure functions."""
