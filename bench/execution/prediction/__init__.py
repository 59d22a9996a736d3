"""Predictions of finished models on other images, and test predictions for other programs."""
