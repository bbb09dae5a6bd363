from chain.datasets.demo.categories import CATEGORIES, ORDER_ONLY

TWINS = [category for category in CATEGORIES if category.flipped]


def test_categories_are_distinct_and_pairs_are_mutual() -> None:
    named = {category.name: category for category in CATEGORIES}
    assert len(named) == len(CATEGORIES) == 24
    assert len({(c.shots, c.flipped) for c in CATEGORIES}) == 24
    assert len(TWINS) == 8
    assert sum(len(twin.shots) == 2 for twin in TWINS) == 4
    for twin in TWINS:
        assert named[twin.pair].pair == twin.name
        assert named[twin.pair].shots == twin.shots
        assert not named[twin.pair].flipped


def test_order_only_names_both_of_each_pair() -> None:
    assert sorted(ORDER_ONLY) == sorted(name for twin in TWINS for name in (twin.name, twin.pair))
