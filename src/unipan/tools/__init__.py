"""What prepares data: the doctor and the converters."""
