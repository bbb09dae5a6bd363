"""Studies of trained models besides the grid: ablations, local tasks, reversal, transfer, cost."""
