"""Render or index the clips of a data set and write their manifest."""

import shutil

from chain.core.files import replacing, write_json
from chain.core.params import parse
from chain.core.scratch import scratch_folder
from chain.datasets import SOURCES, source_config
from chain.datasets.manifest import Roles, check_retrieval, has_labels, write_manifest
from chain.retrieval.config import EvaluationConfig
from stages.common import ARTIFACTS, data_root, parameters, run


def prepare(dataset: str) -> str:
    source, roles, evaluation, runtime = parameters(
        f"data.{dataset}.source", f"data.{dataset}.roles", "evaluation", "runtime"
    )
    config = source_config(source, f"data.{dataset}.source")
    roles = parse(Roles, roles, f"data.{dataset}.roles")
    topk = parse(EvaluationConfig, evaluation, "evaluation").topk
    out = ARTIFACTS / "clips" / dataset
    _, index = SOURCES[source["kind"]]
    with scratch_folder(f"prepare-{dataset}", {"source": source}, []) as scratch:
        root = data_root(source["root"]) if "root" in source else scratch
        manifest = index(config, root, runtime["workers"])
        if has_labels(manifest):
            check_retrieval(manifest, roles, topk)
        write_manifest(scratch / "manifest.csv", manifest)
        write_json(scratch / "notes.json", manifest.attrs.get("notes", []))
        with replacing(out) as temporary:
            shutil.move(scratch, temporary)
    return f"prepare: {len(manifest)} clips in {out / 'manifest.csv'}"


if __name__ == "__main__":
    run(prepare, "dataset")
