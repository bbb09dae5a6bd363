"""The CNNs that give frame features: networks, weights, pre-training."""
