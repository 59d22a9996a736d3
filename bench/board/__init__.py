"""A board: plain data that every output format draws from."""
