"""Supervised training on the labelled cases: a lower bound, and an upper one at all labels."""
