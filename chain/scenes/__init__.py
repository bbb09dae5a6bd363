"""The scenes of a video: clusters of its frames, found by affinity propagation."""
