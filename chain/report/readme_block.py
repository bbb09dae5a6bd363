"""A block of generated text in the hand-written README, between two comments."""

from chain.core.errors import InputError


def replace_block(text: str, name: str, new: str) -> str:
    """Put `new` in place of what stands in `text` between the two markers of `name`.

    The markers `<!-- name:begin -->` and `<!-- name:end -->` stay, and a blank line parts them from
    `new`. Doing it twice changes nothing more. Raises InputError unless each marker is there once
    and the beginning comes first, and if `new` holds a marker.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    for marker in (begin, end):
        if text.count(marker) != 1:
            raise InputError(f"{marker}: expected once, found {text.count(marker)} times")
        if marker in new:
            raise InputError(f"{marker}: stands in the new text itself")
    before, _, rest = text.partition(begin)
    if end not in rest:
        raise InputError(f"{end}: stands before {begin}")
    after = rest.partition(end)[2]
    return f"{before}{begin}\n\n{new.strip()}\n\n{end}{after}"
