"""Reads what several dataset families share: pictures, NIfTI and HDF5 files, lists and tables."""
