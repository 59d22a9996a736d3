"""StyleGAN3-T, the generator of SSGNet: networks, adaptive augmentation and training."""
