"""What turns pixels into boxes, one file a detector; see ``types.Detector``."""
