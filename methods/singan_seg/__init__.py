"""SinGAN-Seg: a pyramid of small GANs per labelled image makes new images with their masks."""
