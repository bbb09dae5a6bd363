import pandas as pd

from chain.results.labels import METHOD_LABELS, dataset_label, labelled, method_label, ordered


def test_names_in_print():
    assert method_label("conmh") == "ConMH"
    assert method_label("mine") == "mine"
    assert dataset_label("activitynet") == "ActivityNet"
    assert dataset_label("clips") == "clips"
    assert dataset_label("fcvid_features") == "FCVID (ready-made features)"


def test_methods_keep_one_order_and_unknown_ones_follow():
    assert ordered(["b", "chain", "a", "lsh", "chain"]) == ["lsh", "chain", "b", "a"]


def test_no_two_methods_have_the_same_label():
    assert len(set(METHOD_LABELS.values())) == len(METHOD_LABELS)


def test_labelled_changes_names_and_nothing_else():
    frame = pd.DataFrame({"source": ["demo"], "method": ["lsh"], "k": [5], "note": ["demo"]})
    want = pd.DataFrame({"source": ["Demo"], "method": ["LSH"], "k": [5], "note": ["demo"]})
    pd.testing.assert_frame_equal(labelled(frame), want)
    assert frame["method"].tolist() == ["lsh"]
