"""What methods are built from: temporal encoders, the hash layer and k-means."""
