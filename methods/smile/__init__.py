"""SMILE, reconstructed: pseudo-healthy images from abnormal ones, with few lesion masks."""
