"""List the files of each data set, so that DVC sees when a folder has changed."""

from chain.core.files import replacing, write_json
from chain.datasets.listing import stamp
from stages.common import ARTIFACTS, data_root, parameters, profile, run


def listing() -> str:
    (datasets,) = parameters("datasets")
    with replacing(ARTIFACTS / "listings") as out:
        for dataset in datasets:
            (source,) = profile(dataset, "source")
            found = {"files": 0}
            if "root" in source:
                root = data_root(source["root"])
                split_file = source.get("split_file")  # it may lie elsewhere
                found = stamp(root, [root / split_file] if split_file else [])
            write_json(out / f"{dataset}.json", found)
    return f"listing: the files of {', '.join(datasets)}"


if __name__ == "__main__":
    run(listing)
