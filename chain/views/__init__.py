"""What training sees of the features: the store, samples of frames, and disturbed features."""
