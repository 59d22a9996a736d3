"""Mean teacher: a consistency reference for semi-supervised segmentation."""
