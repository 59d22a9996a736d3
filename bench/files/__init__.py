"""Files on disk: typed records, digests, CSV."""
