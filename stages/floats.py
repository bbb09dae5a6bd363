"""mAP@K of the CNN's pooled float features: what the codes are made from, without a code."""

from chain.core.files import replacing, write_csv
from chain.datasets.manifest import Roles, has_labels
from chain.results.grid import FLOATS
from chain.retrieval.config import EvaluationConfig
from chain.retrieval.floats import evaluate_floats
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, parsed, run


def floats(dataset: str) -> str:
    roles = parsed(Roles, "roles", dataset)
    topk = parsed(EvaluationConfig, "evaluation").topk
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    with replacing(ARTIFACTS / "evaluations" / dataset / FLOATS) as out:
        out.mkdir()
        if not has_labels(store.index):
            return f"floats: {dataset} has no categories, so there is nothing to evaluate"
        tables = evaluate_floats(store.clean, store.index, roles, topk)
        for name, table in tables.items():
            write_csv(out / f"{name}.csv", table)
    scores = tables["map"].pivot(index="variant", columns="k", values="map_strict")
    return f"floats: float features on {dataset}, strict mAP@K:\n{scores.round(3).to_string()}"


if __name__ == "__main__":
    run(floats, "dataset")
