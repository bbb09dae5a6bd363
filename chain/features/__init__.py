"""Frame features: augmented views, the bank that holds theirs, ready-made ones converted."""
