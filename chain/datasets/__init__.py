"""The data sets: where clips come from, and the manifest that lists them."""
