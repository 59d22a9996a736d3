"""DTC: a segmentation and a level set of the same network that agree."""
