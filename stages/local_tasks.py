"""What CHAIN's local tasks learn, and how far a clip's code is from that of its reversal."""

from pathlib import Path

from chain.analysis.joins import draw_joins, join_scores
from chain.analysis.order import new_clips, order_chance, order_study, trained_chains
from chain.analysis.reversal import reversal_table
from chain.core.files import replacing, write_csv
from chain.core.runtime import RuntimeConfig, set_up
from chain.datasets.demo import ORDER_ONLY
from chain.datasets.manifest import Roles
from chain.figures.order_confusion import order_confusion
from chain.figures.retrieval_examples import choose_queries
from chain.figures.reversal import reversal_distance
from chain.figures.scene_examples import scene_examples
from chain.figures.style import save
from chain.results.grid import over_seeds
from chain.results.local_tasks_tables import printed, stacked
from chain.results.table import write_tables
from chain.video.pack import read_frames
from chain.views.store import FeatureStore
from stages.common import ARTIFACTS, METRICS, TABLES, parameters, parsed, run

PLOTS = Path("plots/local_tasks")


def local_tasks(dataset: str, bits: int) -> str:
    grid, figures, seed = parameters("grid", "figures", "seed")
    roles = parsed(Roles, "roles", dataset)
    device = set_up(parsed(RuntimeConfig, "runtime"), training=True)
    store = FeatureStore.open(ARTIFACTS / "features" / dataset)
    models, packed = ARTIFACTS / "models" / dataset, ARTIFACTS / "frames" / dataset / "frames.npy"
    clips = new_clips(store.index, roles)
    found = reversal_table(models, grid["methods"], bits, store, clips, seed, device)
    tables = {"reversal": over_seeds(found, "method", ())}
    with replacing(PLOTS) as out:
        out.mkdir()
        save(reversal_distance(tables["reversal"], bits), out / "reversal.png")
        if chain := trained_chains(models / f"chain_{bits}", device):
            one = next(iter(chain.values()))  # all seeds have the same configuration
            counts, accuracy = order_study(chain, store, roles, ORDER_ONLY, seed)
            joins, config = draw_joins(store.index["labels"], store.dense, seed), one.config
            tables["order"] = over_seeds(accuracy, "clips", ())
            tables["scenes"] = join_scores(store.clean, joins, config.scene)
            save(order_confusion(counts, order_chance(one)), out / "order.png")
            if packed.exists():  # ready-made features have no frames to show
                shown = choose_queries(store.index, clips, figures["queries"], figures["seed"])
                pictures = read_frames(packed, len(store.index))
                strips = scene_examples(store, pictures, shown, joins, config.scene)
                save(strips, out / "scenes.png")
    write_csv(METRICS / "local_tasks.csv", stacked(tables))
    notes = [] if chain else ["CHAIN was not trained, so its order task and scenes are left out."]
    write_tables(TABLES / "local_tasks.json", METRICS / "local_tasks.md", printed(tables), notes)
    return f"local_tasks: {dataset}, {len(clips)} clips; {', '.join(tables)} in {PLOTS}"


if __name__ == "__main__":
    run(local_tasks, "dataset", "bits")
