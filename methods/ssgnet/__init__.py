"""SSGNet: StyleGAN3 generates images; the segmenter, or their class, labels them."""
