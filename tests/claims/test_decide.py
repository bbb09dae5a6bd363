import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chain.claims.aims import AIMS, COMPARISONS
from chain.claims.decide import (
    NO_RESULT,
    NO_SUCH_K,
    NO_TABLE,
    NOT_IN_GRID,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    Measured,
    artifact_reader,
    decide,
    measure,
    verdict,
)
from chain.claims.paper import CHAIN, CLAIMS, CONMH, Claim, Side
from chain.core.errors import InputError
from chain.core.files import write_csv
from chain.results.grid import FLOATS

PAIRS = ("contrastive_order", "contrastive_scene", "order_scene")
SIDES = [
    CHAIN,
    CONMH,
    *(Side(pair, "tasks") for pair in PAIRS),
    Side("random", "sampling"),
    Side("consecutive", "sampling"),
    Side("per_frame", "spatial"),
]
THREE = Claim("three", CHAIN, tuple(Side(pair, "tasks") for pair in PAIRS))


def queries(level, seeds=2, count=30):
    """AP@20 of `level` times the same difficulty for each method and seed."""
    ap = level * np.random.default_rng(0).uniform(0.2, 0.8, count)
    names = [f"q{number}" for number in range(count)]
    return pd.concat(
        pd.DataFrame({"seed": seed, "id": names, "ap5": 0.0, "ap20": ap}) for seed in range(seeds)
    )


def by_rank(level, seeds=2):
    recall = np.array([0.0, 0.5, 1.0])
    return pd.concat(
        pd.DataFrame(
            {"seed": seed, "rank": [1, 2, 3], "precision": [level, level, 0.1], "recall": recall}
        )
        for seed in range(seeds)
    )


def world(levels, seeds=2):
    """A reader of results in which each side has its level, and those without one are absent."""

    def read(dataset, side, table):
        if (dataset, side) not in levels:
            return pd.DataFrame()
        make = queries if table == "queries" else by_rank
        return make(levels[dataset, side], seeds)

    return read


def rows(table, text):
    return table[table["claim"].str.startswith(text)]


def test_nothing_at_hand():
    table = decide(world({}), [], resamples=10)
    assert list(table["data set"]) == ["fcvid", "ucf101", "activitynet", "hmdb51"]
    assert list(table["paper"]) == [0.214, 0.109, 0.375, 0.105]
    assert set(table["verdict"]) == {NOT_RUN}
    assert table[["measured", "low", "high", "seeds", "queries"]].isna().all().all()
    assert list(table.columns) == [
        *("claim", "data set", "paper", "measured", "low", "high", "seeds", "queries", "verdict")
    ]


def test_all_at_hand_and_reproduced():
    levels = {(name, side): 0.5 for name in ("ucf101", "demo") for side in SIDES}
    levels |= {(name, CHAIN): 0.75 for name in ("ucf101", "demo")}
    table = decide(world(levels), ["ucf101", "demo"], resamples=50)
    ran = table[table["verdict"] != NOT_RUN]
    assert len(table) == 4 + 2 * 6 and len(ran) == 1 + 2 * 6
    assert set(ran["verdict"]) == {REPRODUCED}
    assert set(ran["seeds"]) == {2} and set(ran["queries"]) == {30}
    gains = ran[~ran["claim"].str.startswith("Precision")]
    np.testing.assert_allclose(gains[["measured", "low", "high"]], 0.5)
    assert (rows(ran, "Precision")["low"] > 0).all()


def test_all_at_hand_and_none_reproduced():
    levels = {("demo", side): 0.5 for side in SIDES} | {("demo", CHAIN): 0.4}
    table = decide(world(levels), ["demo"], resamples=50)
    at_hand = table[table["data set"] == "demo"]
    assert set(at_hand["verdict"]) == {NOT_REPRODUCED}
    assert (at_hand["high"] < 0).all()


def test_ready_made_features_of_a_benchmark_have_its_claim():
    names = ("fcvid", "fcvid_features")
    levels = {(name, side): 0.5 + (side == CHAIN) for name in names for side in SIDES}
    table = rows(decide(world(levels), ["fcvid_features"], resamples=20), "mAP@20 over")
    assert list(table["data set"]) == ["fcvid_features", "ucf101", "activitynet", "hmdb51"]
    assert list(table["verdict"]) == [REPRODUCED, NOT_RUN, NOT_RUN, NOT_RUN]
    both = rows(decide(world(levels), names, resamples=20), "mAP@20 over")
    assert list(both["data set"][:2]) == list(names)


def test_a_data_set_that_is_not_asked_for_is_not_read():
    levels = {("ucf101", side): 0.5 for side in SIDES}
    table = decide(world(levels), ["demo"], resamples=10)
    assert set(table["verdict"]) == {NOT_RUN, NO_RESULT}
    assert table["measured"].isna().all()


def test_ablations_may_be_absent():
    table = decide(world({("demo", CHAIN): 0.5, ("demo", CONMH): 0.4}), ["demo"], resamples=20)
    here = table[table["data set"] == "demo"]
    assert list(here["verdict"]) == [REPRODUCED] * 2 + [NO_RESULT] * 4


def test_one_task_pair_is_enough_to_fail_and_the_closest_is_shown():
    levels = {("demo", side): 0.5 for side in THREE.theirs} | {("demo", CHAIN): 0.6}
    levels["demo", THREE.theirs[1]] = 0.75
    found = measure(THREE, "demo", world(levels), 50, 0)
    assert verdict(THREE, "demo", found) == NOT_REPRODUCED
    assert found.mean == pytest.approx(-0.2)
    levels["demo", THREE.theirs[1]] = 0.55
    found = measure(THREE, "demo", world(levels), 50, 0)
    assert verdict(THREE, "demo", found) == REPRODUCED
    assert found.mean == pytest.approx(0.6 / 0.55 - 1)


def test_the_closest_rival_is_the_one_least_sure_to_be_beaten():
    """One pair has the higher mean, another the trainings that differ most."""
    steady, shaky = THREE.theirs[0], THREE.theirs[1]
    levels = {("demo", side): 0.3 for side in THREE.theirs} | {("demo", CHAIN): 0.6}
    plain = world(levels | {("demo", steady): 0.5, ("demo", shaky): 0.4})

    def read(dataset, side, table):
        found = plain(dataset, side, table)
        if side == shaky:
            found["ap20"] *= found["seed"].map({0: 0.2, 1: 1.8})
        return found

    found = measure(THREE, "demo", read, 200, 0)
    assert found.mean == pytest.approx(0.5) and found.low < 0
    assert verdict(THREE, "demo", found) == NOT_REPRODUCED


def test_one_absent_task_pair_leaves_it_undecided():
    levels = {("demo", side): 0.5 for side in THREE.theirs[:2]} | {("demo", CHAIN): 0.6}
    assert measure(THREE, "demo", world(levels), 50, 0) == NO_RESULT


@pytest.mark.parametrize(
    ("figure", "low", "high", "want"),
    [
        (None, 0.01, 0.05, REPRODUCED),
        (None, 0.0, 0.05, NOT_REPRODUCED),
        (None, -0.01, 0.05, NOT_REPRODUCED),
        (0.05, 0.01, 0.05, REPRODUCED),
        (0.06, 0.01, 0.05, NOT_REPRODUCED),  # ahead, but short of the figure
        (0.005, 0.01, 0.05, REPRODUCED),  # further ahead than the paper
        (0.05, -0.01, 0.09, NOT_REPRODUCED),
    ],
)
def test_rule_by_hand(figure, low, high, want):
    claim = Claim("ahead", CHAIN, (CONMH,), figure=figure)
    assert verdict(claim, "demo", Measured(0.03, low, high, low > 0, 2, 30)) == want


def test_precision_must_be_higher_everywhere():
    claim = Claim("precision", CHAIN, (CONMH,), kind="precision")
    plain = world({("demo", CHAIN): 0.6, ("demo", CONMH): 0.5})

    def crossing(dataset, side, table):
        found = plain(dataset, side, table)
        if table == "by_rank" and side == CHAIN:
            found.loc[found["recall"] == 0, "precision"] = 0.45
        return found

    assert verdict(claim, "demo", measure(claim, "demo", plain, 10, 0)) == REPRODUCED

    def one_bad_seed(dataset, side, table):
        found = plain(dataset, side, table)
        if table == "by_rank" and side == CHAIN:
            found.loc[(found["seed"] == 1) & (found["recall"] < 1), "precision"] = 0.49
        return found

    found = measure(claim, "demo", crossing, 10, 0)
    assert found.low > 0 and verdict(claim, "demo", found) == NOT_REPRODUCED
    found = measure(claim, "demo", one_bad_seed, 10, 0)
    assert found.mean > 0 > found.low and verdict(claim, "demo", found) == NOT_REPRODUCED


def test_order_of_rows_does_not_matter_but_queries_must_be_the_same():
    claim = Claim("ahead", CHAIN, (CONMH,))
    plain = world({("demo", CHAIN): 0.6, ("demo", CONMH): 0.5})

    def edited(edit):
        def read(dataset, side, table):
            found = plain(dataset, side, table)
            return edit(found) if side == CONMH else found

        return read

    want = measure(claim, "demo", plain, 20, 0)
    shuffled = edited(lambda table: table.sample(frac=1, random_state=0))
    assert measure(claim, "demo", shuffled, 20, 0) == want
    for edit, message in [
        (lambda t: t.assign(id=t["id"] + "x"), "evaluated on different ones"),
        (lambda t: t.iloc[1:], "a seed lacks a query"),
        (lambda t: pd.concat([t, t]), "two rows with the same seed and id"),
        (lambda t: t.assign(ap20=0.0), r"ahead \(demo, conmh\): theirs: every AP is 0"),
    ]:
        with pytest.raises(InputError, match=message):
            measure(claim, "demo", edited(edit), 20, 0)
    without = edited(lambda table: table.drop(columns="ap20"))
    assert measure(claim, "demo", without, 20, 0) == NO_SUCH_K


def test_a_database_of_fewer_than_twenty_clips_decides_only_precision():
    """Where a side is absent besides, that is the reason."""
    levels = {("small", side): 0.5 for side in SIDES}
    levels["small", CHAIN] = 0.6
    del levels["small", Side("random", "sampling")]
    plain = world(levels)

    def read(dataset, side, table):
        return plain(dataset, side, table).drop(columns="ap20", errors="ignore")

    table = decide(read, ["small"], resamples=10)
    here = table[table["data set"] == "small"].set_index("claim")["verdict"]
    reasons = here.to_dict()
    assert reasons.pop("Segment sampling: better than random") == NO_RESULT
    assert reasons.pop("Precision at equal recall: ahead of ConMH") == REPRODUCED
    assert set(reasons.values()) == {NO_SUCH_K} and len(reasons) == 4
    assert NO_SUCH_K == "not run here (not evaluated at K = 20)"
    assert table["measured"].notna().sum() == 1


def test_one_seed_says_so():
    levels = {("demo", CHAIN): 0.6, ("demo", CONMH): 0.5}
    table = decide(world(levels, seeds=1), ["demo"], resamples=20)
    assert set(table["seeds"].dropna()) == {1}
    assert list(table["verdict"]).count(REPRODUCED) == 2


def test_seeds_are_those_of_the_side_with_fewer():
    levels = {("demo", CHAIN): 0.6, ("demo", CONMH): 0.5}

    def read(dataset, side, table):
        return world(levels, seeds=3 if side == CHAIN else 2)(dataset, side, table)

    assert measure(Claim("ahead", CHAIN, (CONMH,)), "demo", read, 20, 0).seeds == 2


def test_deterministic():
    rng = np.random.default_rng(0)
    noise = {side: rng.random(60) for side in SIDES}

    def read(dataset, side, table):
        found = (queries if table == "queries" else by_rank)(0.5)
        return found.assign(ap20=noise[side]) if table == "queries" else found

    first, second = (decide(read, ["demo"], resamples=30) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert not decide(read, ["demo"], resamples=30, seed=1).equals(first)


def test_claims_of_the_paper():
    figures = {claim.dataset: claim.figure for claim in CLAIMS if claim.figure}
    assert figures == {"fcvid": 0.214, "ucf101": 0.109, "activitynet": 0.375, "hmdb51": 0.105}
    rivals = {(rival.ablation, rival.name) for claim in CLAIMS for rival in claim.theirs}
    assert rivals == {(side.ablation, side.name) for side in SIDES[1:]}
    assert len({(claim.text, claim.dataset) for claim in CLAIMS}) == len(CLAIMS)


def test_reading_what_the_pipeline_writes(tmp_path):
    write_csv(tmp_path / "evaluations/demo/chain_64/queries.csv", queries(0.6))
    variants = [queries(0.5).assign(variant="random"), queries(0.4).assign(variant="consecutive")]
    write_csv(tmp_path / "ablations/demo/sampling/queries.csv", pd.concat(variants))
    read = artifact_reader(tmp_path)
    assert len(read("demo", CHAIN, "queries")) == 60
    found = read("demo", Side("consecutive", "sampling"), "queries")
    np.testing.assert_allclose(found["ap20"], queries(0.4)["ap20"], rtol=1e-5)
    assert read("demo", Side("segment", "sampling"), "queries").empty
    assert read("demo", Side("per_frame", "spatial"), "queries").empty
    assert read("ucf101", CHAIN, "queries").empty
    table = decide(read, ["demo"], resamples=20)
    assert list(table.loc[table["verdict"] == REPRODUCED, "claim"]) == [
        "Segment sampling: better than random",
        "Segment sampling: better than consecutive",
    ]


def test_aims_ask_for_the_whole_gain_at_each_code_length():
    """An aim needs the measured gain itself, where a claim needs only the interval's end."""
    levels = {("demo", Side(FLOATS)): 0.5}
    for bits, plus, wsch in ((16, 0.48, 0.4), (32, 0.56, 0.6), (64, 0.54, 0.6)):
        levels |= {("demo", Side("chain_plus", bits=bits)): plus}
        levels |= {("demo", Side("wsch", bits=bits)): wsch}
    table = rows(decide(world(levels), ["demo"], AIMS, resamples=20), "CHAIN+")
    assert list(table["verdict"]) == [
        *("reached", "reached"),  # .96 times the floats, of which .95 are asked
        *("reached", "not reached"),
        *("not reached", "not reached"),
    ]
    assert table["paper"].fillna(0).tolist() == pytest.approx([-0.05, 0, 0.1, 0, 0.1, 0])
    assert "CHAIN+, 16 bits: 0.95 times the best float features" in set(table["claim"])
    empty = decide(world({}), ["demo"], AIMS, resamples=10)
    assert set(empty["verdict"]) == {NO_RESULT}


@pytest.mark.parametrize(
    ("figure", "mean", "low", "reached"),
    [
        (0.1, 0.1, 0.01, True),
        (0.1, 0.2, -0.01, False),
        (0.1, 0.09, 0.01, False),
        (0.0, 0.2, -0.01, False),
        (None, 0.2, 0.01, True),
        (-0.05, -0.05, -0.2, True),
        (-0.05, -0.06, -0.2, False),
    ],
)
def test_rule_of_aims(figure, mean, low, reached):
    claim = Claim("some", CHAIN, (CONMH,), figure=figure, group="aim")
    found = Measured(mean, low, 0.3, low > 0, seeds=3, queries=9)
    assert verdict(claim, "demo", found) == ("reached" if reached else "not reached")


def test_an_aim_may_ask_for_another_figure_on_the_demo():
    (claim,) = (one for one in AIMS if one.on_demo is not None)
    assert (claim.asked("demo"), claim.asked("clips")) == (0.4, 0.25)
    levels = {(name, CHAIN): 0.65 for name in ("demo", "clips")}
    levels |= {(name, CONMH): 0.5 for name in ("demo", "clips")}
    table = decide(world(levels), ["demo", "clips"], [claim], resamples=20)
    assert list(table["paper"]) == [0.4, 0.25]
    assert list(table["verdict"]) == ["not reached", "reached"]


def test_comparisons_of_ours():
    levels = {("demo", Side(name)): 0.5 for name in ("chain", "wsch", "s5vh")}
    levels |= {("demo", Side("chain_plus")): 0.6, ("demo", Side("contrastive", "tasks")): 0.4}
    table = decide(world(levels), ["demo"], COMPARISONS, resamples=20)
    assert dict(zip(table["claim"], table["verdict"], strict=True)) == {
        "CHAIN: ahead of WSCH": "not ahead",
        "CHAIN: ahead of S5VH": "not ahead",
        "CHAIN+: ahead of WSCH": "ahead",
        "CHAIN+: ahead of S5VH": "ahead",
        "Three tasks together: better than contrast alone": "ahead",
    }


def test_what_this_run_leaves_out_says_so():
    """The reason is the true one, whatever is on disk from an earlier run."""
    levels = {("demo", Side(name)): 0.5 for name in ("chain", "chain_plus", "wsch", "s5vh")}
    levels |= {("demo", Side("contrastive", "tasks")): 0.4}
    ran = {"chain", "chain_plus", "wsch", "sampling"}
    table = decide(world(levels), ["demo"], COMPARISONS, ran, resamples=20)
    assert list(table["verdict"]) == [
        *("not ahead", NOT_IN_GRID, "not ahead", NOT_IN_GRID),
        NO_TABLE,
    ]
    assert table["measured"].notna().tolist() == [True, False, True, False, False]
    floats = Claim("floats", CHAIN, (Side(FLOATS),))
    levels |= {("demo", Side(FLOATS)): 0.3}
    table = decide(world(levels), ["demo"], [floats], ran, resamples=20)
    assert list(table["verdict"]) == [REPRODUCED]


def test_float_features_are_the_best_of_their_variants(tmp_path):
    """They have no code length. At K = 5 another variant would be the best."""
    path = tmp_path / "evaluations/demo/float_features/queries.csv"
    levels = {"raw": 0.3, "centred": 0.35, "centred_halves": 0.2}
    variants = [
        queries(level, seeds=1).assign(variant=name, ap5=1 - level)
        for name, level in levels.items()
    ]
    write_csv(path, pd.concat(variants))
    write_csv(tmp_path / "evaluations/demo/chain_16/queries.csv", queries(0.4))
    read = artifact_reader(tmp_path)
    found = read("demo", Side(FLOATS), "queries")
    assert len(found) == 30 and set(found["variant"]) == {"centred"}
    assert len(read("demo", Side("chain", bits=16), "queries")) == 60
    assert read("demo", CHAIN, "queries").empty and read("other", Side(FLOATS), "queries").empty
    claim = Claim("ahead", Side("chain", bits=16), (Side(FLOATS),))
    assert measure(claim, "demo", read, 20, 0).mean == pytest.approx(0.4 / 0.35 - 1, rel=1e-4)
    write_csv(path, pd.concat(variants).drop(columns="ap20"))
    assert measure(claim, "demo", read, 20, 0) == NO_SUCH_K


def test_claims_are_frozen_and_need_no_figures():
    with pytest.raises(AttributeError):
        CLAIMS[0].figure = 0.0
    assert replace(CLAIMS[0], figure=None).figure is None
    code = "import sys, chain.claims.decide; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
