"""What code from outside gives, checked where it enters."""
