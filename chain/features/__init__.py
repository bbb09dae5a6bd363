"""Frame features: augmented views, the bank of their features, and ready-made features."""
