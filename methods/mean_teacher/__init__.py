"""Mean teacher: the consistency baseline of semi-supervised learning."""
