"""Engines: what brings the cells of a run to machines. One folder is the truth for all of them."""
