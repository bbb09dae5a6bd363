"""What every other room stands on: errors, parameters, files, processes, device and threads."""
