"""Images: decoding, caching, grids, near-duplicates, checks."""
