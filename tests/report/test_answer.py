import numpy as np
import pandas as pd
import pytest

from chain.report.answer import NOTHING, answer, answers, claims_answer
from chain.results.table import Table

SCORES = pd.DataFrame(
    [
        ("ucf101", "chain", 64, 20, 0.5, 0.01),
        ("ucf101", "lsh", 64, 20, 0.1, 0.02),
        ("ucf101", "conmh", 64, 20, 0.4, 0.03),
        ("ucf101", "bth", 64, 20, 0.25, 0.04),
        ("ucf101", "bth", 32, 20, 0.9, 0.0),  # another code length, K and data set
        ("ucf101", "bth", 64, 5, 0.9, 0.0),
        ("demo", "chain", 64, 20, 0.2, 0.0),
        ("demo", "conmh", 64, 20, 0.4, 0.0),
    ],
    columns=["dataset", "method", "bits", "k", "map_strict", "sd_strict"],
)
FLOATS = pd.DataFrame(
    [
        ("ucf101", "raw", 5, 0.9),
        ("ucf101", "raw", 20, 0.25),
        ("ucf101", "centred_halves", 5, 0.1),
        ("ucf101", "centred_halves", 20, 0.24),
        ("demo", "raw", 20, 0.3),
        ("demo", "centred_halves", 20, 0.5),
    ],
    columns=["dataset", "variant", "k", "map_strict"],
)


def only(*methods: str) -> pd.DataFrame:
    return SCORES[SCORES["method"].isin(methods) & (SCORES["dataset"] == "ucf101")]


def test_by_hand() -> None:
    assert answer(SCORES, FLOATS, "ucf101", 1200, 64, 20, 3) == (
        "On UCF101, CHAIN has the highest mean with 64-bit codes: its mAP@20 is 0.500 ± 0.010 "
        "(strict protocol, 1,200 queries, mean ± sd over 3 seeds). That is 25 % above ConMH (0.400 "
        "± 0.030) and 100 % above the best float features (raw, without a code: 0.250). LSH and "
        "BTH do not beat these features. At the other code lengths the highest mean is that of "
        "BTH with 32 bits (0.900, above every floor)."
    )


def test_the_best_of_each_code_length_and_the_floors() -> None:
    rows = [
        ("demo", "chain", 16, 20, 0.4, 0.0),
        ("demo", "conmh", 16, 20, 0.45, 0.0),
        ("demo", "pca_itq", 32, 20, 0.6, 0.0),
        ("demo", "chain", 32, 20, 0.59, 0.0),
        ("demo", "chain", 32, 5, 0.9, 0.0),
    ]
    more = pd.concat([SCORES, pd.DataFrame(rows, columns=SCORES.columns)])
    assert answer(more, FLOATS, "demo", 1200, 64, 20, 3).endswith(
        " At the other code lengths the highest mean is that of ConMH with 16 bits (0.450, not "
        "above the float features) and PCA-ITQ with 32 bits (0.600, without training)."
    )


def test_the_baseline_itself_may_win_and_stay_below_the_features() -> None:
    assert answer(SCORES, FLOATS, "demo", 1200, 64, 20, 3).partition("seeds). ")[2] == (
        "That is 20 % below the best float features (centred halves, without a code: 0.500). ConMH "
        "and CHAIN do not beat these features."
    )


def test_a_run_without_the_baseline_and_with_one_seed() -> None:
    scores = only("chain", "bth").query("bits == 64").drop(columns="sd_strict")
    assert answer(scores, FLOATS, "ucf101", 1200, 64, 20, 1) == (
        "On UCF101, CHAIN has the highest mean with 64-bit codes: its mAP@20 is 0.500 "
        "(strict protocol, 1,200 queries, one seed). That is 100 % above the best float features "
        "(raw, without a code: 0.250). BTH does not beat these features."
    )


def test_one_method_alone_has_no_rival() -> None:
    assert answer(only("chain"), FLOATS, "ucf101", 1200, 64, 20, 3) == (
        "On UCF101, CHAIN is the only method, with 64-bit codes: its mAP@20 is 0.500 ± 0.010 "
        "(strict protocol, 1,200 queries, mean ± sd over 3 seeds). That is 100 % above the best "
        "float features (raw, without a code: 0.250)."
    )


def test_all_methods_beat_the_features() -> None:
    assert answer(only("chain", "conmh"), FLOATS, "ucf101", 1200, 64, 20, 3).endswith(
        "code: 0.250)."
    )


@pytest.mark.parametrize(("theirs", "gap"), [(0.5, "as much as"), (0.501, "as much as")])
def test_no_gap_in_whole_percent(theirs: float, gap: str) -> None:
    floats = FLOATS.assign(map_strict=theirs)
    text = answer(only("chain"), floats, "ucf101", 1200, 64, 20, 3)
    assert f"That is {gap} the best float features" in text
    assert text.endswith("CHAIN does not beat these features.")


def test_a_spread_that_is_not_known() -> None:
    text = answer(SCORES.assign(sd_strict=np.nan), FLOATS, "ucf101", 1200, 64, 20, 3)
    assert "is 0.500 (strict" in text and "ConMH (0.400) and" in text


def test_a_data_set_that_lacks_this_k() -> None:
    scores, floats = (t[t["dataset"] == "ucf101"].replace({"k": {20: 7}}) for t in (SCORES, FLOATS))
    expected = answer(SCORES, FLOATS, "ucf101", 1200, 64, 20, 3).replace("mAP@20", "mAP@7")
    assert answer(scores, floats, "ucf101", 1200, 64, 20, 3) == expected


def test_one_answer_a_data_set() -> None:
    found = answers(SCORES, FLOATS, {"ucf101": 1200, "demo": 1200}, 64, 20, 3)
    assert found == [answer(SCORES, FLOATS, name, 1200, 64, 20, 3) for name in ("ucf101", "demo")]
    assert answers(pd.DataFrame(), pd.DataFrame(), {}, 64, 20, 3) == [NOTHING]


def test_how_many_claims_hold() -> None:
    verdicts = ["reproduced", "not reproduced", "reproduced", "not run here (data absent)"]
    table = Table.of(pd.DataFrame({"claim": list("abcd"), "verdict": verdicts}))
    assert claims_answer(table) == (
        "Of the 4 rows in the table of the paper's claims, 2 are reproduced and 1 are not. "
        "1 could not be decided here."
    )
    assert claims_answer(Table.of(pd.DataFrame({"verdict": ["reproduced"]}))) == (
        "Of the 1 rows in the table of the paper's claims, 1 are reproduced and 0 are not."
    )
    assert claims_answer(
        Table.of(pd.DataFrame({"verdict": ["not run here (data absent)"] * 10}))
    ) == ("This run decides none of the 10 rows in the table of the paper's claims.")
