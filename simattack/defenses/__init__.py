"""What a car can do about it, one family a file; see ``types.Defense``."""
