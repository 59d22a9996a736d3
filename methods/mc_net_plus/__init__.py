"""MC-Net+: three decoders of one encoder that agree on each other's sharpened predictions."""
