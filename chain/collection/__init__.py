"""A collection of videos that lives: files are added to it and removed, and it is searched.

A collection is a folder:

* `collection.json` says which format it has, whose codes it holds, and how long segments are.
* `hasher/` is a copy of the hasher, so that the collection needs nothing else.
* `tables/` holds the LanceDB tables `videos`, `segments`, `broken` and `judgements`.
* `lock` is locked by whoever writes. Who only reads does not wait for it.
"""

from chain.collection.collection import Collection
from chain.collection.matching import Match
from chain.collection.segmenting import Segmenting

__all__ = ["Collection", "Match", "Segmenting"]
