"""What a training will cost: step times that were measured once, scaled to this machine."""
