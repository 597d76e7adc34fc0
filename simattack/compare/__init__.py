"""Defenses against attacks: what each keeps, what it costs, and whether that can be believed."""
