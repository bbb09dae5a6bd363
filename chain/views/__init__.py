"""What training sees of the features: the store, samples of frames, a stand-in for pixels."""
