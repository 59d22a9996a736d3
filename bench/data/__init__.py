"""Images: decoding, caching, grids, near-duplicates and checks."""
