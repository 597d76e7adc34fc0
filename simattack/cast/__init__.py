"""What members of a scenario's cast do, one behaviour a file."""
