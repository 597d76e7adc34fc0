"""Patch attacks of ours and of another library on one ground, taking turns."""
