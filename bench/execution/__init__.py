"""Carrying a plan out: the driver, the engines, predictions."""
