"""What a suite is refused for before anything is decoded, beyond the form of its keys."""
