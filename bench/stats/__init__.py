"""Intervals, ranks, jackknife and label efficiency over tables of scores; pure functions."""
