"""Scores as rows take them: of draws over outer folds, and of each test case."""
