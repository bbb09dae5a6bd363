"""What the pipeline computes with: the schema of its parameters, and the code of each stage."""
