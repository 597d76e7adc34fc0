"""What a found light or sign says: the classifier, its weights, and where signs may be."""
