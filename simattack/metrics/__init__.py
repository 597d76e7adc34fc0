"""What is measured of an episode; pure functions of its trace."""
