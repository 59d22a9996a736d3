"""Fetches public data sets: where they are, how they come here, what they must hold."""
