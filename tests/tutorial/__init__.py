"""Walks docs/tutorial.md as a reader does: writes its files and runs its commands."""
