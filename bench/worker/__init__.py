"""What runs inside the process of a cell; everything here is part of a cell's key."""
