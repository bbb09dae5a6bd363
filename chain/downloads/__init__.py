"""Fetching a data set's files from their public addresses, and unpacking them."""
