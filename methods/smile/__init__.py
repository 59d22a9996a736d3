"""SMILE, reconstructed: pseudo-normal images from abnormal ones, with few lesion masks."""
