"""The results of the grid, read back, as tables beside the literature's."""
