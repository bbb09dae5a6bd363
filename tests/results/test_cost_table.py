import pandas as pd

from chain.results.cost_table import cost_table


def test_by_hand() -> None:
    costs = pd.DataFrame(
        {
            "dataset": ["demo", "mine"],
            "method": ["lsh", "chain_plus"],
            "bits": 64,
            "parameters": [0, 1234567],
            "mmacs": [0.065536, 2.637],
            "bytes": 8,
        }
    )
    assert cost_table(costs).markdown() == (
        "| data set | method | parameters | million multiply-adds a video | bytes a code |\n"
        "| --- | --- | --: | --: | --: |\n"
        "| Demo | LSH | 0 | 0.07 | 8 |\n"
        "| mine | CHAIN+ | 1,234,567 | 2.64 | 8 |\n"
    )
