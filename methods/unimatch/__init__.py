"""UniMatch: labels of a weak view for two strong ones and for perturbed features."""
