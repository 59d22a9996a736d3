"""A Board as one HTML page that opens offline."""
