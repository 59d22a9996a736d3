"""What the trainings of each row took, and how they went."""
