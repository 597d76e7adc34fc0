"""What simattack promises, measured: one function a check, and the records they leave."""
