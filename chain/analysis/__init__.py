"""What trained models are asked beside the grid: ablations, frame order, transfer, cost."""
