"""What changed from one result folder to another."""
