"""What answers are worth, as counts that add."""
