"""From pairs to groups."""

from chain.collection.grouping import grouped


def test_pairs_join_to_components():
    pairs = [("a", "b", False), ("c", "d", False), ("b", "e", False)]
    assert grouped(pairs, []) == [["a", "b", "e"], ["c", "d"]]
    assert grouped([], []) == []


def test_what_was_judged_apart_stays_apart_also_through_a_third():
    pairs = [("a", "c", False), ("b", "c", False), ("c", "d", False)]
    for order in (pairs, pairs[::-1]):
        assert grouped(order, [("a", "b")]) == [["a", "c", "d"], ["b", "c", "d"]]
        assert grouped(order, [("b", "a"), ("b", "d")]) == [["a", "c", "d"], ["b", "c"]]
    assert grouped([("a", "b", False)], [("a", "b")]) == []


def test_a_judged_pair_hides_no_other_copies():
    names = [f"copy {number}" for number in range(7)]
    pairs = [(one, other, False) for one in names for other in names if one < other]
    assert grouped(pairs, [(names[0], names[1])]) == [[names[0], *names[2:]], names[1:]]


def test_what_holds_two_others_is_with_each_and_joins_them_not():
    pairs = [("x", "long", True), ("y", "long", True), ("x", "x2", False)]
    assert grouped(pairs, []) == [["long", "x", "x2"], ["long", "y"]]


def test_copies_of_the_longer_one_hold_it_too():
    pairs = [("long", "long2", False), ("third", "long", True)]
    assert grouped(pairs, []) == [["long", "long2", "third"]]
    assert grouped(pairs, [("third", "long2")]) == [["long", "long2"]]


def test_groups_within_groups_are_left_out():
    pairs = [("a", "b", False), ("part", "a", True), ("part", "b", True)]
    assert grouped(pairs, []) == [["a", "b", "part"]]
