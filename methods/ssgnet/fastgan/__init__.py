"""FastGAN (Liu et al. 2021), a light generator for few images; written anew from its recipe."""
