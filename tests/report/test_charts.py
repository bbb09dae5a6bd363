import numpy as np
import pandas as pd
import pytest

from chain.core.errors import InputError
from chain.figures.style import METHOD_STYLES
from chain.report.charts import Chart, Series, method_series

SCORES = pd.DataFrame(
    {
        "dataset": "demo",
        "method": ["chain", "chain", "lsh", "lsh"],
        "bits": 16,
        "k": [5, 20, 5, 20],
        "map_strict": [0.5, 0.25, 0.4, 0.3],
        "sd_strict": [0.01, 0.02, 0.03, np.nan],
    }
)


def test_series_look_like_the_figures() -> None:
    lsh, chain = method_series(SCORES, "k", "map_strict", "sd_strict")
    style = METHOD_STYLES["chain"]
    assert (lsh.name, lsh.x, lsh.y, lsh.sd) == ("LSH", (5, 20), (0.4, 0.3), None)
    assert (chain.name, chain.sd) == ("CHAIN", (0.01, 0.02))
    assert (chain.colour, chain.dash, chain.width) == (style.colour, style.dash, style.width)
    assert all(series.sd is None for series in method_series(SCORES, "k", "map_strict"))
    unknown = method_series(SCORES, "k", "map_strict", "sd_absent")
    assert all(series.sd is None for series in unknown)


def test_bad_series() -> None:
    with pytest.raises(InputError, match="no column 'rank'"):
        method_series(SCORES, "rank", "map_strict")
    with pytest.raises(InputError, match="'sd_strict' holds NaN"):
        method_series(SCORES, "k", "sd_strict")


def test_bad_content() -> None:
    with pytest.raises(InputError, match="chart 'c': no series"):
        Chart("c", "x", "y", ())
    for x, y, sd in (((), (), None), ((1, 2), (1,), None), ((1,), (1,), (1, 2))):
        with pytest.raises(InputError, match="series 's': expected x, y and sd of one length"):
            Series("s", "red", x, y, sd)
    with pytest.raises(InputError, match="series 's' holds something else than finite numbers"):
        Series("s", "red", (1,), (float("nan"),))
    with pytest.raises(InputError, match="series 's' holds something else than finite numbers"):
        Series("s", "red", (1,), (1,), (float("inf"),))
