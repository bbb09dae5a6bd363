"""A collection of videos: their codes, searched, and the copies among them."""
