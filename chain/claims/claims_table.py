"""The verdicts as a table in print, and the rule behind them in words."""

import pandas as pd

from chain.claims.paper import BITS, K
from chain.results.table import ABSENT, Cell, Table

RULE = (
    f"All rows follow the strict protocol, with {BITS} bits unless said otherwise. *Measured* is "
    f"the relative gain in mAP@{K}, beside its 95 % interval from a bootstrap over queries, "
    "paired, and over seeds on each side. A claim is reproduced if the interval lies wholly above "
    "0. One with a figure from the paper also needs the interval's upper end to reach it. Over "
    "several rivals this must hold against each, and the row shows the closest. For precision at "
    "equal recall, *measured* is the relative gain in precision averaged over the recalls that "
    "all curves cover, beside its range over all pairings of seeds. It is reproduced if the mean "
    "curve is the higher one at every recall and the whole range lies above 0. One side of "
    "our own comparisons is ahead if the interval lies wholly above 0. An aim is reached if the "
    "measured gain is at least what it asks for and the interval lies wholly above 0. An aim that "
    "asks for less than 0, so for a share of the rival's mAP, does without the interval. "
    "The best float features are the variant (raw, centred or centred halves) of the highest "
    f"mAP@{K} over all queries of the data set. "
    "*Seeds* is the smaller number of trainings on the two sides: where it is 1, the interval "
    "covers the choice of queries only."
)


def claims_table(verdicts: pd.DataFrame, wanted: str = "paper", caption: str = "") -> Table:
    """The `verdicts` of `decide` with gains in percent; `wanted` heads the column of figures."""
    ends = zip(verdicts["low"], verdicts["high"], strict=True)
    return Table.of(
        pd.DataFrame(
            {
                **{name: verdicts[name] for name in ("claim", "data set", "verdict")},
                wanted: [Cell(_percent(gain)) for gain in verdicts["paper"]],
                "measured": [Cell(_percent(gain)) for gain in verdicts["measured"]],
                "95 % interval": [Cell(_interval(low, high)) for low, high in ends],
                **{name: verdicts[name] for name in ("seeds", "queries")},
            }
        ),
        caption,
    )


def _interval(low: float, high: float) -> str:
    return f"{_percent(low)} to {_percent(high)}" if pd.notna(low) else ABSENT


def _percent(gain: float) -> str:
    return f"{100 * gain:+.1f} %" if pd.notna(gain) else ABSENT
