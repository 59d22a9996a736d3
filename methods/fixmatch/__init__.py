"""FixMatch: labels of a weak view, where it is sure, for a strong view of the same image."""
