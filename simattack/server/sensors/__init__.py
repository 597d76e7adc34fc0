"""What sensors report: each file turns the truth of one tick into one kind of measurement."""
