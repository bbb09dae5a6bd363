"""This package reads the results of the grid back and lays them out as tables."""
