"""A Board, drawn: HTML, CSV and JSON."""
