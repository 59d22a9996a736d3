"""Published boards: results that stay valid without their models, and under later code."""
