"""Supervised training on the labelled cases alone: the lower and, at all labels, the upper bound."""
