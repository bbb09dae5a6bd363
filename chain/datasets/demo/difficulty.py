"""How hard the clips are to tell apart: retrieval gets harder as a constant grows."""

SCENE_SWAP = 0.02  # probability that a shot is set in a scene drawn from all kinds
SUBJECT_SWAP = 0.02  # probability that a plain subject is drawn from all plain ones
SUBJECT_HUE_SPREAD = 0.08  # standard deviation of a subject's hue about its kind's, in turns
HUE_SPREAD = 0.02  # standard deviation of the palette's hue, in turns of the colour wheel
RECUT = 0.10  # probability that a one-shot clip is cut to a second view of its scene
CLUTTER = 1  # most distractor objects in a shot
SHAKE = 0.010  # standard deviation of the camera's tremble, world units
CAMERA = 0.6  # scale of pan, zoom, tilt and shear
GRAIN = 0.015  # standard deviation of the sensor noise, of a full scale of 1
