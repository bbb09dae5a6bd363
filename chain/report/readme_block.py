"""Generated text inside a hand-written Markdown file, between two comments."""

from chain.core.errors import InputError


def replace_block(text: str, name: str, new: str) -> str:
    """`text` with `new` in place of what stands between the two markers of `name`.

    The markers are `<!-- name:begin -->` and `<!-- name:end -->` and stay; a blank line parts them
    from `new`. Doing it twice changes nothing more. Raises InputError unless each of the two is
    there once, the beginning first, and if `new` holds one.
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
