import colorsys
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from chain.core import params
from chain.core.errors import InputError
from chain.features.augmentation import (
    STRENGTHS,
    Augmentation,
    AugmentConfig,
    Spatial,
    apply,
    draw,
    resize,
    to_images,
)

NOTHING = AugmentConfig(
    crop_scale=1.0,
    flip=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue=0.0,
    grey=0.0,
    blur=0.0,
)
EVERYTHING = AugmentConfig(
    crop_scale=0.3,
    flip=0.5,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.3,
    grey=0.2,
    blur=0.5,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 4, size: int = 16) -> Tensor:
    return torch.rand(count, 3, size, size, generator=generator(1))


def plain(count: int) -> Augmentation:
    """Parameters that change nothing."""
    return Augmentation(
        crop=torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(count, 1),
        colour=torch.eye(3, 4).repeat(count, 1, 1),
        sigma=torch.zeros(count),
    )


def replaced(augmentation: Augmentation, **parts: Tensor) -> Augmentation:
    return Augmentation(**{**vars(augmentation), **parts})


def test_no_augmentation_is_the_identity() -> None:
    pixels = images()
    torch.testing.assert_close(apply(pixels, plain(4), 16), pixels, atol=1e-5, rtol=0)


def test_zero_strengths_leave_only_the_crop_to_chance() -> None:
    drawn = draw(50, NOTHING, generator())
    torch.testing.assert_close(drawn.colour, plain(50).colour, atol=1e-6, rtol=0)
    assert not drawn.sigma.any()
    assert (drawn.crop[:, 2:] > 0.8).all()  # the area is whole, the aspect ratio is not


def test_negative_width_mirrors() -> None:
    pixels = images()
    mirrored = replaced(plain(4), crop=torch.tensor([0.0, 0.0, -1.0, 1.0]).repeat(4, 1))
    torch.testing.assert_close(apply(pixels, mirrored, 16), pixels.flip(3), atol=1e-5, rtol=0)


def test_crop_takes_the_pixels_that_it_names() -> None:
    pixels = images()
    # The right half and the upper quarter: 8 × 4 of 16 × 16 pixels, each 4 or 8 times enlarged.
    crop = torch.tensor([[0.5, -0.75, 0.5, 0.25]]).repeat(4, 1)
    got = apply(pixels, replaced(plain(4), crop=crop), 8)
    columns = pixels[..., 8:]
    across = (torch.arange(8) + 0.5) / 2 - 0.5  # output rows in source rows
    low = across.floor().clamp(0, 15).long()
    share = (across - across.floor())[:, None]
    share = torch.where(across[:, None] < 0, torch.zeros(()), share)
    expected = columns[:, :, low] * (1 - share) + columns[:, :, low + 1] * share
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1, 9, 32])
def test_crops_against_torch_s_affine_grid(size: int) -> None:
    drawn = draw(5, EVERYTHING, generator())
    pixels = images(5)
    centre_x, centre_y, half_width, half_height = drawn.crop.unbind(dim=1)
    none = torch.zeros(5)
    rows = [half_width, none, centre_x, none, half_height, centre_y]
    grid = F.affine_grid(
        torch.stack(rows, dim=1).view(5, 2, 3), [5, 3, size, size], align_corners=False
    )
    expected = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    got = apply(pixels, replaced(plain(5), crop=drawn.crop), size)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_affine_colour_map_against_each_pixel_alone() -> None:
    pixels = images(3, 5)
    colour = torch.randn(3, 3, 4, generator=generator(2))
    got = apply(pixels, replaced(plain(3), colour=colour), 5)
    for image, matrix, result in zip(pixels, colour, got, strict=True):
        for row in range(5):
            for column in range(5):
                pixel = image[:, row, column].tolist()
                for channel in range(3):
                    value = matrix[channel, 3].item()
                    value += sum(matrix[channel, k].item() * pixel[k] for k in range(3))
                    expected = min(max(value, 0.0), 1.0)
                    assert result[channel, row, column].item() == pytest.approx(expected, abs=1e-4)


def test_drawn_colour_is_hue_then_saturation_then_brightness_then_contrast() -> None:
    """Each change on its own, as the draw's only one, against its textbook definition."""
    pixel = np.array([0.2, 0.5, 0.7])
    grey = float(pixel @ [0.299, 0.587, 0.114])

    def mapped(**strengths: float) -> tuple[np.ndarray, np.ndarray]:
        drawn = draw(200, NOTHING.model_copy(update=strengths), generator())
        colour = drawn.colour.double().numpy()
        return colour[:, :, :3] @ pixel + colour[:, :, 3], colour

    bright, _ = mapped(brightness=0.4)
    gain = bright / pixel
    np.testing.assert_allclose(gain, gain[:, :1].repeat(3, 1), rtol=1e-5)
    assert 0.6 <= gain.min() < 0.65 and 1.35 < gain.max() <= 1.4

    contrast, _ = mapped(contrast=0.4)
    gain = (contrast - 0.5)[:, [0, 2]] / (pixel - 0.5)[[0, 2]]
    np.testing.assert_allclose(gain[:, 0], gain[:, 1], rtol=1e-4)
    np.testing.assert_allclose(contrast[:, 1], 0.5, atol=1e-6)  # mid-grey stays
    assert 0.6 <= gain.min() < 0.65 and 1.35 < gain.max() <= 1.4

    saturated, _ = mapped(saturation=0.4)
    gain = (saturated - grey) / (pixel - grey)
    np.testing.assert_allclose(gain, gain[:, :1].repeat(3, 1), rtol=1e-3)
    assert 0.6 <= gain.min() < 0.65 and 1.35 < gain.max() <= 1.4

    greyed, _ = mapped(grey=0.5)
    alone = np.isclose(greyed, grey, atol=1e-6).all(axis=1)
    same = np.isclose(greyed, pixel, atol=1e-6).all(axis=1)
    assert (alone ^ same).all() and 60 < alone.sum() < 140


def test_hue_turns_about_grey() -> None:
    drawn = draw(100, NOTHING.model_copy(update={"hue": 0.5}), generator())
    matrix = drawn.colour[:, :, :3].double()
    grey = torch.full((3,), 0.37, dtype=torch.float64)
    torch.testing.assert_close(matrix @ grey, grey.expand(100, 3), atol=1e-6, rtol=0)
    identity = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    torch.testing.assert_close(matrix @ matrix.mT, identity, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        torch.linalg.det(matrix), torch.ones(100).double(), atol=1e-5, rtol=0
    )
    angle = torch.rad2deg(
        torch.acos(((matrix.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1))
    )
    assert angle.max() > 160 and angle.min() < 20
    # The turn keeps its direction: red goes to green's side for a positive share, as in HSV.
    red = matrix @ torch.tensor([1.0, 0.0, 0.0]).double()
    hues = [colorsys.rgb_to_hsv(*(pixel.clamp(0, 1).tolist()))[0] for pixel in red]
    assert min(hues) < 0.2 and max(hues) > 0.8


def test_small_hue_strength_bounds_the_angle() -> None:
    drawn = draw(300, NOTHING.model_copy(update={"hue": 0.1}), generator())
    trace = drawn.colour[:, :, :3].diagonal(dim1=1, dim2=2).sum(1)
    angle = torch.acos(((trace - 1) / 2).clamp(-1, 1))
    assert 0.9 * 0.2 * math.pi < angle.max() <= 0.2 * math.pi + 1e-3


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.3, 2.0])
def test_blur_against_scipy(sigma: float) -> None:
    pixels = images(3, 12)
    got = apply(pixels, replaced(plain(3), sigma=torch.tensor([0.0, sigma, 0.0])), 12)
    expected = pixels[1].double().numpy()
    for axis in (1, 2):
        expected = gaussian_filter1d(expected, sigma, axis=axis, mode="nearest", radius=3)
    np.testing.assert_allclose(got[1].numpy(), expected, atol=1e-5)
    torch.testing.assert_close(got[[0, 2]], pixels[[0, 2]], atol=1e-5, rtol=0)


def test_each_image_is_treated_alone() -> None:
    pixels, drawn = images(6), draw(6, EVERYTHING, generator())
    together = apply(pixels, drawn, 10)
    for k in range(6):
        one = Augmentation(drawn.crop[k : k + 1], drawn.colour[k : k + 1], drawn.sigma[k : k + 1])
        torch.testing.assert_close(apply(pixels[k : k + 1], one, 10), together[k : k + 1])


def test_consistent_draw_is_one_for_all_frames() -> None:
    drawn = draw(2, EVERYTHING, generator()).repeat(3)
    for part in (drawn.crop, drawn.colour, drawn.sigma):
        assert len(part) == 6
        assert (part[:3] == part[0]).all() and (part[3:] == part[3]).all()
    frame = images(1).expand(6, -1, -1, -1)
    result = apply(frame, drawn, 16)
    assert (result[:3] == result[0]).all() and (result[3:] == result[3]).all()
    assert not torch.equal(result[0], result[3])


def test_rows_split_into_views() -> None:
    drawn = draw(6, EVERYTHING, generator())
    first, second = drawn.split(3)
    for name, part in vars(drawn).items():
        assert torch.equal(getattr(first, name), part[:3])
        assert torch.equal(getattr(second, name), part[3:])


def test_draws_for_each_frame_differ() -> None:
    drawn = draw(8, EVERYTHING, generator())
    assert len(drawn.crop.unique(dim=0)) == 8
    assert len(drawn.colour.unique(dim=0)) == 8


def test_result_stays_in_range_and_shape() -> None:
    result = apply(images(64), draw(64, EVERYTHING, generator()), 9)
    assert result.shape == (64, 3, 9, 9)
    assert result.min() >= 0 and result.max() <= 1
    assert result.std() > 0.05


def test_crops_stay_inside_and_keep_their_share() -> None:
    crop = draw(2000, EVERYTHING, generator()).crop
    centre, half = crop[:, :2].abs(), crop[:, 2:].abs()
    assert (centre + half <= 1 + 1e-6).all()
    area = half.prod(dim=1)
    assert 0.25 < area.min() < 0.35 and area.max() > 0.9
    assert 0.45 < (crop[:, 2] < 0).float().mean() < 0.55


def test_chances_are_kept() -> None:
    drawn = draw(2000, EVERYTHING, generator())
    blurred = drawn.sigma[drawn.sigma > 0]
    assert 0.45 < len(blurred) / 2000 < 0.55
    assert blurred.min() >= 0.1 and blurred.max() <= 2.0


def test_draw_depends_on_its_generator_alone() -> None:
    torch.manual_seed(1)
    first = draw(5, EVERYTHING, generator(7))
    torch.manual_seed(2)
    second = draw(5, EVERYTHING, generator(7))
    other = draw(5, EVERYTHING, generator(8))
    assert all(torch.equal(getattr(first, k), getattr(second, k)) for k in vars(first))
    assert not torch.equal(first.crop, other.crop)


def test_input_is_left_as_it_was() -> None:
    pixels = images()
    before = pixels.clone()
    for drawn in (plain(4), draw(4, EVERYTHING, generator())):
        apply(pixels, drawn, 16)
    assert torch.equal(pixels, before)


def test_frames_become_images() -> None:
    frames = np.zeros((2, 4, 5, 3), np.uint8)
    frames[1, 2, 3] = [255, 51, 0]
    got = to_images(frames)
    assert got.shape == (2, 3, 4, 5) and got.dtype == torch.float32
    torch.testing.assert_close(got[1, :, 2, 3], torch.tensor([1.0, 0.2, 0.0]))
    assert got.sum().item() == pytest.approx(1.2)


def test_resize() -> None:
    pixels = images(2, 16)
    assert resize(pixels, 16) is pixels
    halved = resize(pixels, 8)
    assert halved.shape == (2, 3, 8, 8)
    # Antialiased: the 4 × 4 pixels under the triangle, weighted 1 3 3 1.
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    expected = torch.einsum("chw,h,w->c", pixels[0, :, 3:7, 5:9], weights, weights)
    torch.testing.assert_close(halved[0, :, 2, 3], expected)


@pytest.mark.parametrize(
    "change", [{"crop_scale": 0.0}, {"flip": 1.5}, {"contrast": 1.0}, {"hue": 0.6}, {"blur": -0.1}]
)
def test_strengths_out_of_range(change: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        AugmentConfig(**{**NOTHING.model_dump(), **change})


# Strengths


def test_scaled_by_hand() -> None:
    by_hand = {
        0.5: {
            "crop_scale": 0.65,
            "flip": 0.5,
            "brightness": 0.2,
            "contrast": 0.2,
            "saturation": 0.2,
            "hue": 0.15,
            "grey": 0.1,
            "blur": 0.25,
        },
        1.25: {
            "crop_scale": 0.125,
            "flip": 0.5,
            "brightness": 0.5,
            "contrast": 0.5,
            "saturation": 0.5,
            "hue": 0.375,
            "grey": 0.25,
            "blur": 0.625,
        },
    }
    for strength, ranges in by_hand.items():
        assert EVERYTHING.scaled(strength).model_dump() == pytest.approx(ranges)


def test_strengths_of_one_and_none() -> None:
    assert EVERYTHING.scaled(1.0) is EVERYTHING
    assert EVERYTHING.scaled(0.0) == NOTHING.model_copy(update={"flip": 0.5})
    assert EVERYTHING.scaled(0.5).scaled(2.0).model_dump() == pytest.approx(EVERYTHING.model_dump())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"crop_scale": 0.3}, "crop_scale"),
        ({"brightness": 0.7}, "brightness"),
        ({"hue": 0.4}, "hue"),
        ({"blur": 0.7}, "blur"),
    ],
)
def test_what_gets_too_wide_is_named(change: dict[str, float], key: str) -> None:
    config = NOTHING.model_copy(update=change)
    with pytest.raises(InputError, match=rf"augment, 1.5 times as strong.{key}: .* \(it is"):
        config.scaled(1.5)
    config.scaled(1.2)


def test_every_kind_of_draw_has_a_strength() -> None:
    assert set(STRENGTHS) == set(get_args(Spatial))
    assert STRENGTHS["none"] == 0 and STRENGTHS["consistent"] == STRENGTHS["per_frame"] == 1
    assert 0 < STRENGTHS["weak"] < 1 < STRENGTHS["strong"]


def test_the_shipped_augmentation_has_every_strength() -> None:
    tree = params.load(Path(__file__).parents[2] / "params.yaml")
    config = params.parse(AugmentConfig, tree["augment"], "augment")
    for strength in STRENGTHS.values():
        assert config.scaled(strength).hue == pytest.approx(strength * config.hue)


@pytest.mark.parametrize("strength", [0.5, 1.5])
@pytest.mark.parametrize("change", ["brightness", "contrast", "saturation"])
def test_strength_scales_a_colour_change_about_none(change: str, strength: float) -> None:
    config = NOTHING.model_copy(update={change: 0.4})
    own, other = (draw(20, c, generator()).colour for c in (config, config.scaled(strength)))
    identity = torch.eye(3, 4)
    assert (own - identity).abs().max() > 0.1
    torch.testing.assert_close(other - identity, strength * (own - identity), atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [0.5, 1.5])
def test_strength_scales_the_turn_of_the_hue(strength: float) -> None:
    def angles(config: AugmentConfig) -> Tensor:
        trace = draw(50, config, generator()).colour[:, :, :3].diagonal(dim1=1, dim2=2).sum(1)
        return torch.acos(((trace - 1) / 2).clamp(-1, 1))

    config = NOTHING.model_copy(update={"hue": 0.3})
    torch.testing.assert_close(
        angles(config.scaled(strength)), strength * angles(config), atol=5e-3, rtol=0
    )


def test_strength_scales_the_chances_but_not_that_of_a_flip() -> None:
    config = EVERYTHING.model_copy(
        update={"crop_scale": 0.4, "grey": 0.4, "blur": 0.4, "flip": 0.3}
    )
    weak, own, strong = (draw(3000, config.scaled(s), generator()) for s in (0.5, 1.0, 1.5))
    for drawn, share in ((weak, 0.2), (own, 0.4), (strong, 0.6)):
        assert (drawn.sigma > 0).float().mean().item() == pytest.approx(share, abs=0.03)
        rank = torch.linalg.matrix_rank(drawn.colour[:, :, :3], atol=1e-3)
        assert (rank == 1).float().mean().item() == pytest.approx(share, abs=0.03)
    assert torch.equal(weak.crop[:, 2] < 0, strong.crop[:, 2] < 0)
    assert (own.crop[:, 2] < 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    both = (weak.sigma > 0) & (strong.sigma > 0)
    assert torch.equal(both, weak.sigma > 0)  # who is blurred weakly is blurred strongly
    assert torch.equal(weak.sigma[both], strong.sigma[both])
