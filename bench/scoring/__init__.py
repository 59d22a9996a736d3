"""From predictions and synthetic images to score tables."""
