"""Adding by Ray, whose actors are played by this process: what they get and give is pickled."""

import pickle

import numpy as np
import pytest

from chain.collection import Collection, Segmenting, by_ray
from chain.core.errors import InputError
from chain.engines import ray_data


def test_ray_gives_what_threads_give(clip, hasher, tmp_path, monkeypatch):
    def played(work, rows, workers, on_gpu):
        assert workers == 3
        for row in rows:
            yield from map(pickle.loads, map(pickle.dumps, pickle.loads(pickle.dumps(work))([row])))

    monkeypatch.setattr(ray_data, "computed_by_ray", played)
    monkeypatch.setattr(by_ray, "uses_ray", lambda runtime: True)
    folder = clip("a.mp4", 0, 1, 2).parent
    clip("b.mp4", 3)
    (folder / "broken.mp4").write_bytes(b"nothing")
    found = []
    for engine in ("threads", "ray"):
        collection = Collection.create(tmp_path / engine, hasher, Segmenting(1.2, 0.6))
        report = collection.add([folder], engine=engine, workers=3)
        found.append((report, collection.codes(), collection.videos()))
    (by_threads, codes, videos), (by_actors, same_codes, same_videos) = found
    assert by_threads == by_actors and by_threads.new == 2
    assert videos.equals(same_videos)
    np.testing.assert_array_equal(codes.codes, same_codes.codes)


def test_without_ray(collection, clip, monkeypatch):
    monkeypatch.setattr("chain.engines.find_spec", lambda name: None)
    with pytest.raises(InputError, match="ray is not installed"):
        collection.add([clip("a.mp4", 0)], engine="ray")
