"""SinGAN-Seg: a pyramid of small GANs for each labelled image makes images with masks."""
