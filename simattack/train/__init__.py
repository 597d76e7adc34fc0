"""From the simulator to trained weights: gather, clean, split, train, score."""
