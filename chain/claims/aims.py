"""The aims of CHAIN+, which is ours and not the paper's, as data."""

from chain.claims.paper import Claim, Side
from chain.results.grid import FLOATS

AIMS = tuple(
    Claim(
        f"CHAIN+, {bits} bits: {text}",
        Side("chain_plus", bits=bits),
        (rival,),
        figure=figure,
        aim=True,
    )
    for bits in (16, 32, 64)
    for text, rival, figure in (
        ("1.5 times ConMH", Side("conmh", bits=bits), 0.5),
        ("ahead of WSCH", Side("wsch", bits=bits), None),
        ("1.1 times the best float features", Side(FLOATS), 0.1),
    )
)
