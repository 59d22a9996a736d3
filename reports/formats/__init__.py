"""A Board as files for other programs, papers and texts."""
