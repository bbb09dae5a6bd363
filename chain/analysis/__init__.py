"""Studies of trained models besides the grid: ablations, frame order, transfer, cost."""
