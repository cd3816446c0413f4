"""What a person asks for, start to end."""
