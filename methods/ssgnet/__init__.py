"""SSGNet: one StyleGAN3 a class makes images, iterative pseudo labels make them cases."""
