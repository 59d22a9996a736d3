"""Runs the cells of a plan: the driver, the executors, and predictions on new images."""
