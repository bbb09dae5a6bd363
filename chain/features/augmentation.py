"""Spatial augmentation of frames in batches: crop, flip, colour and blur.

CHAIN (arXiv 2310.18926) draws the parameters once per view and applies them to all its frames
("temporally consistent"). The ablation draws them for each frame. Here both are the same operation:
`draw` gives one row of parameters for each image, and a consistent view repeats its row.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from chain.core.params import Parameters, parse

Spatial = Literal["consistent", "per_frame", "weak", "strong", "none"]
"""`weak` and `strong` are `consistent` at other `STRENGTHS`; `none` leaves frames as they are."""
STRENGTHS = {"none": 0.0, "weak": 0.5, "consistent": 1.0, "per_frame": 1.0, "strong": 1.5}
Probability = Annotated[float, Field(ge=0, le=1)]
LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601


class AugmentConfig(Parameters):
    """Strengths of the spatial augmentation (SimCLR's list, arXiv 2002.05709, appendix A)."""

    crop_scale: Annotated[float, Field(gt=0, le=1)]
    """Smallest share of the image's area that a crop keeps."""
    flip: Probability
    brightness: Annotated[float, Field(ge=0, lt=1)]
    contrast: Annotated[float, Field(ge=0, lt=1)]
    saturation: Annotated[float, Field(ge=0, lt=1)]
    hue: Annotated[float, Field(ge=0, le=0.5)]
    """Largest hue rotation, as a share of the full circle."""
    grey: Probability
    blur: Probability
    """Chance of a Gaussian blur, whose sigma is 0.1 to 2 pixels."""

    def scaled(self, strength: float) -> "AugmentConfig":
        """Widen all ranges but the flip's by `strength`. Raises InputError if one gets too wide."""
        if strength == 1:
            return self
        ranges = {name: strength * value for name, value in self.model_dump().items()}
        ranges |= {"flip": self.flip, "crop_scale": 1 - strength * (1 - self.crop_scale)}
        return parse(AugmentConfig, ranges, f"augment, {strength} times as strong")


@dataclass(frozen=True)
class Augmentation:
    """The parameters of n images, a row for each."""

    crop: Tensor
    """(n, 4): centre x and y, half-width, half-height. The image spans [-1, 1], and a negative
    half-width flips it."""
    colour: Tensor
    """(n, 3, 4): the affine map of RGB, which includes the contrast about mid-grey."""
    sigma: Tensor
    """(n,): the blur in pixels of the output; 0 is none."""

    def repeat(self, times: int) -> "Augmentation":
        """Repeat each row `times` times, so that the frames of a view share one draw."""
        parts = (self.crop, self.colour, self.sigma)
        return Augmentation(*(part.repeat_interleave(times, dim=0) for part in parts))

    def split(self, count: int) -> "list[Augmentation]":
        """Split the rows into parts of `count`."""
        parts = (self.crop, self.colour, self.sigma)
        return [
            Augmentation(*(part[first : first + count] for part in parts))
            for first in range(0, len(self.crop), count)
        ]

    def to(self, device: torch.device) -> "Augmentation":
        """Copy the parameters to another device."""
        return Augmentation(*(part.to(device) for part in (self.crop, self.colour, self.sigma)))


def draw(count: int, config: AugmentConfig, generator: torch.Generator) -> Augmentation:
    """Draw parameters for `count` images; all randomness comes from `generator`."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    area = uniform(config.crop_scale, 1.0)
    ratio = torch.exp(uniform(-0.2877, 0.2877))  # aspect ratios 3:4 to 4:3
    half_width = (area * ratio).sqrt().clamp(max=1)
    half_height = (area / ratio).sqrt().clamp(max=1)
    centre_x = uniform(-1, 1) * (1 - half_width)
    centre_y = uniform(-1, 1) * (1 - half_height)
    flip = torch.where(uniform(0, 1) < config.flip, -1.0, 1.0)

    brightness = uniform(1 - config.brightness, 1 + config.brightness)
    contrast = uniform(1 - config.contrast, 1 + config.contrast)
    saturation = uniform(1 - config.saturation, 1 + config.saturation)
    saturation = torch.where(uniform(0, 1) < config.grey, 0.0, saturation)
    angle = uniform(-config.hue, config.hue) * 2 * torch.pi
    gain = (brightness * contrast)[:, None, None]
    matrix = gain * _saturate(saturation) @ _rotate_hue(angle)  # (n, 3, 3)
    offset = (0.5 * (1 - contrast))[:, None, None].expand(-1, 3, 1)

    sigma = torch.where(uniform(0, 1) < config.blur, uniform(0.1, 2.0), torch.zeros(count))
    return Augmentation(
        crop=torch.stack([centre_x, centre_y, half_width * flip, half_height], dim=1),
        colour=torch.cat([matrix, offset], dim=2),
        sigma=sigma,
    )


def apply(images: Tensor, augmentation: Augmentation, size: int) -> Tensor:
    """Augment images (n, 3, H, W), float in [0, 1], to (n, 3, size, size) in [0, 1].

    Crop, flip and resize are one bilinear resampling, and the four colour changes are one affine
    map of RGB. So the cost does not grow with the number of augmentations.
    """
    augmentation = augmentation.to(images.device)
    images = F.grid_sample(
        images, _grid(augmentation.crop, size), padding_mode="border", align_corners=False
    )
    _blur_(images, augmentation.sigma)
    matrix, offset = augmentation.colour[:, :, :3], augmentation.colour[:, :, 3:]
    flat: Tensor = torch.baddbmm(offset, matrix, images.flatten(2))  # (n, 3, size * size)
    return flat.view_as(images).clamp_(0, 1)


def to_images(frames: NDArray[np.uint8]) -> Tensor:
    """Turn frames (n, H, W, 3) uint8 into images (n, 3, H, W), float in [0, 1]."""
    planes = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).contiguous()
    return planes.float().div_(255)


def resize(images: Tensor, size: int) -> Tensor:
    """Resize images (n, 3, H, W) to (n, 3, size, size), bilinear with antialiasing."""
    if images.shape[-1] == size:
        return images
    resized: Tensor = F.interpolate(
        images, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return resized


def _saturate(factor: Tensor) -> Tensor:
    """Make the maps (n, 3, 3) that blend a pixel with its luma; factor (n,) 0 gives grey."""
    grey = LUMA.expand(3, 3)
    return factor[:, None, None] * (torch.eye(3) - grey) + grey


def _rotate_hue(angle: Tensor) -> Tensor:
    """Make the rotations (n, 3, 3) of RGB about the grey axis by `angle` (n,), in radians.

    They follow Rodrigues' formula.
    """
    axis = torch.full((3,), 3**-0.5)
    cross = torch.linalg.cross(axis.expand(3, 3), torch.eye(3)).T
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along = (1 - cosine) * torch.outer(axis, axis)
    rotation: Tensor = cosine * torch.eye(3) + sine * cross + along
    return rotation


def _grid(crop: Tensor, size: int) -> Tensor:
    """Return x and y of each pixel of the crops (n, 4), in the image's [-1, 1]: (n, S, S, 2)."""
    centre_x, centre_y, half_width, half_height = crop[:, :, None].unbind(dim=1)
    pixels = torch.linspace(-1, 1, size, device=crop.device) * (size - 1) / size  # their centres
    x, y = half_width * pixels + centre_x, half_height * pixels + centre_y
    return torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1
    )


def _blur_(images: Tensor, sigma: Tensor) -> None:
    """Blur the images whose sigma is above 0, in place: a separable Gaussian of radius 3 pixels."""
    chosen = sigma.nonzero()[:, 0]
    if not len(chosen):
        return
    offsets = torch.arange(-3.0, 4.0, device=sigma.device)
    kernel = torch.exp(-0.5 * (offsets / sigma[chosen, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)  # (3m, 7)
    planes = images[chosen].flatten(0, 1)[None]  # (1, 3m, S, S)
    planes = F.pad(planes, (3, 3, 3, 3), mode="replicate")
    planes = F.conv2d(planes, kernel[:, None, None, :], groups=len(kernel))
    planes = F.conv2d(planes, kernel[:, None, :, None], groups=len(kernel))
    images.index_copy_(0, chosen, planes.view(-1, *images.shape[1:]))
