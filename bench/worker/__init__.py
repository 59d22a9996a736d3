"""What runs in the process of a cell; the keys of cells depend on all code in this folder."""
