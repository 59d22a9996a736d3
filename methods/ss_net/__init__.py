"""SS-Net: smoothness under adversarial noise and separation of classes, for few labels."""
