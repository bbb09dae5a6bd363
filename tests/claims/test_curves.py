import numpy as np
import pandas as pd
import pytest

from chain.claims.curves import POINTS, precision_gain
from chain.core.errors import InputError


def curves(*levels, recall=(0.0, 0.5, 1.0), end=0.1):
    """A curve for each seed, `level` high, that falls to `end` where all is retrieved."""
    return pd.concat(
        pd.DataFrame(
            {
                "seed": seed,
                "rank": range(1, len(recall) + 1),
                "precision": [*[level] * (len(recall) - 1), end],
                "recall": recall,
            }
        )
        for seed, level in enumerate(levels)
    )


def test_by_hand():
    """Precision 2p up to recall 1/2, then down to p: areas p(1 + 3/4) against p."""
    steps = np.arange(POINTS) / POINTS
    falling = np.where(steps < 0.5, 2.0, 3 - 2 * steps)
    found = precision_gain(curves(0.2), curves(0.1))
    assert found.mean == pytest.approx(falling.mean() - 1)
    assert found.low == pytest.approx(found.mean) and found.high == pytest.approx(found.mean)
    assert found.everywhere  # although both curves end in the same point


def test_identical_curves_are_not_ahead():
    found = precision_gain(curves(0.3, 0.2), curves(0.2, 0.3))
    assert found.mean == pytest.approx(0) and not found.everywhere
    assert found.low == pytest.approx(-found.high / (1 + found.high))


def test_every_pairing_of_seeds_counts():
    found = precision_gain(curves(0.9, 0.3), curves(0.5, 0.2, 0.2))
    assert found.everywhere and found.mean > 0
    assert found.low < 0 < found.high
    means = {level: precision_gain(curves(level), curves(0.5)).mean for level in (0.9, 0.3, 0.2)}
    assert found.low == pytest.approx(means[0.3])
    assert found.high == pytest.approx((1 + means[0.9]) / (1 + means[0.2]) - 1)


def test_curves_that_cross_are_not_above_everywhere():
    ours, theirs = curves(0.9), curves(0.5)
    ours.loc[ours["recall"] == 0.0, "precision"] = 0.4
    found = precision_gain(ours, theirs)
    assert found.low > 0 and not found.everywhere


def test_only_recalls_that_all_cover_count():
    ours = curves(0.4, recall=(0.0, 0.2, 0.6))
    theirs = curves(0.2, recall=(0.2, 0.3, 1.0), end=0.2)
    wide = precision_gain(ours, theirs)
    at = 0.2 + 0.4 * np.arange(POINTS) / POINTS
    assert wide.mean == pytest.approx(np.interp(at, [0.2, 0.6], [0.4, 0.1]).mean() / 0.2 - 1)


def test_recall_that_stands_still_counts_with_its_mean():
    ours = curves(0.4, recall=(0.0, 0.5, 0.5, 1.0), end=0.4)
    ours["precision"] = [0.4, 0.5, 0.3, 0.4]
    assert precision_gain(ours, curves(0.2, end=0.2)).mean == pytest.approx(1)


def test_curves_that_share_one_recall_are_compared_there():
    """As where one method finds the only relevant clip of each query first."""
    perfect = curves(1.0, recall=(1.0, 1.0, 1.0), end=0.1)
    found = precision_gain(perfect, curves(0.5, recall=(0.2, 0.6, 1.0), end=0.1))
    assert found.mean == pytest.approx(0.7 / 0.1 - 1) and found.everywhere


def test_bad_tables():
    good = curves(0.3)
    with pytest.raises(InputError, match="ours: no column 'recall'"):
        precision_gain(good.drop(columns="recall"), good)
    with pytest.raises(InputError, match="theirs: the precision-recall curve has no rows"):
        precision_gain(good, good.iloc[:0])
    with pytest.raises(InputError, match="theirs: column 'precision' holds something else"):
        precision_gain(good, good.assign(precision=np.nan))
    with pytest.raises(InputError, match="no recall that all of them cover"):
        precision_gain(curves(0.3, recall=(0.0, 0.2, 0.3)), curves(0.3, recall=(0.4, 0.5, 1.0)))
