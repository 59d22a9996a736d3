"""Readers that dataset families share: image files, their masks, and tables beside them."""
