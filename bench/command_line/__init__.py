"""What the command line offers and prints: options, refusals, progress and tables."""
