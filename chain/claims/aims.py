"""Our own comparisons and our aims, which are not the paper's, as data."""

from dataclasses import replace

from chain.claims.paper import CHAIN, CONMH, Claim, Side
from chain.results.grid import FLOATS
from chain.results.labels import method_label

CONTRAST = Side("contrastive", "tasks")

COMPARISONS = (
    *(
        Claim(
            f"{method_label(ours)}: ahead of {method_label(theirs)}",
            Side(ours),
            (Side(theirs),),
            group="comparison",
        )
        for ours in ("chain", "chain_plus")
        for theirs in ("wsch", "s5vh")
    ),
    Claim(
        "Three tasks together: better than contrast alone", CHAIN, (CONTRAST,), group="comparison"
    ),
)

_CHAIN = (
    Claim("CHAIN: its gain over ConMH", CHAIN, (CONMH,), figure=0.25, on_demo=0.4),
    Claim("CHAIN: 1.15 times the best float features", CHAIN, (Side(FLOATS),), figure=0.15),
    Claim("CHAIN: 1.05 times contrast alone", CHAIN, (CONTRAST,), figure=0.05),
)
_PLUS = (
    Claim(f"CHAIN+, {bits} bits: {text}", Side("chain_plus", bits=bits), (rival,), figure=figure)
    for bits, times in ((16, 0.95), (32, 1.1), (64, 1.1))
    for text, rival, figure in (
        (f"{times} times the best float features", Side(FLOATS), round(times - 1, 2)),
        ("ahead of WSCH", Side("wsch", bits=bits), None),
    )
)
AIMS = tuple(replace(claim, group="aim") for claim in (*_CHAIN, *_PLUS))
