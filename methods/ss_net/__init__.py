"""SS-Net: smoothness against adversarial noise and separation of classes, for few labels."""
