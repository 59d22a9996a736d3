"""The search for settings: studies, search spaces, trials."""
