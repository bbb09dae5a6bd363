import numpy as np
import pandas as pd

from chain.claims.claims_table import RULE, claims_table
from chain.claims.decide import NOT_REPRODUCED, NOT_RUN, REPRODUCED

TABLE = pd.DataFrame(
    {
        "claim": ["one", "two"],
        "data set": ["fcvid", "demo"],
        "paper": [0.214, np.nan],
        "measured": [np.nan, 0.1234],
        "low": [np.nan, -0.05],
        "high": [np.nan, 0.25],
        "seeds": pd.array([None, 3], dtype="Int64"),
        "queries": pd.array([None, 1000], dtype="Int64"),
        "verdict": [NOT_RUN, NOT_REPRODUCED],
    }
)


def test_by_hand() -> None:
    assert claims_table(TABLE).markdown() == (
        "| claim | data set | verdict | paper | measured | 95 % interval | seeds | queries |\n"
        "| --- | --- | --- | --: | --: | --: | --: | --: |\n"
        "| one | fcvid | not run here (data absent) | +21.4 % | – | – | – | – |\n"
        "| two | demo | not reproduced | – | +12.3 % | -5.0 % to +25.0 % | 3 | 1000 |\n"
    )


def test_aims_have_a_caption_and_a_column_of_their_own() -> None:
    table = claims_table(TABLE, "aim", "Aims")
    assert (table.caption, table.header[3]) == ("Aims", "aim")
    assert [row[3].text for row in table.rows] == ["+21.4 %", "–"]


def test_the_rule_in_words_names_every_verdict() -> None:
    assert f"is {REPRODUCED} if" in RULE and "An aim is reached if" in RULE
    assert "highest mAP@20 over all queries" in RULE
