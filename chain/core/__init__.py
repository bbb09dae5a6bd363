"""What all other packages use: errors, parameters, files, processes, device and threads."""
