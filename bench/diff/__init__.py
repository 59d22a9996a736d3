"""What changed between two result folders."""
