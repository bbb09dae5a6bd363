"""Fetch the files of a data set from their public addresses, if asked to."""

from chain.core.errors import InputError
from chain.core.files import write_json
from chain.core.params import parse
from chain.downloads.fetch import DownloadConfig, obtain
from stages.common import ARTIFACTS, data_root, parameters, run


def download(dataset: str) -> str:
    wanted, downloads, source = parameters(
        f"data.{dataset}.download", f"data.{dataset}.downloads", f"data.{dataset}.source"
    )
    key = f"data.{dataset}.downloads"
    configs = [parse(DownloadConfig, one, f"{key}.{name}") for name, one in downloads.items()]
    out = ARTIFACTS / "downloads" / f"{dataset}.json"
    if not wanted:
        write_json(out, [])
        return f"download: nothing for {dataset} (data.{dataset}.download is off)"
    if not configs or "root" not in source:
        raise InputError(f"params.yaml: {key}: no address, so put the files in place by hand")
    records = [obtain(config, data_root(source["root"])) for config in configs]
    fetched = [record for record in records if record is not None]
    write_json(out, fetched)
    return f"download: {len(fetched)} of {len(records)} files of {dataset} from their addresses"


if __name__ == "__main__":
    run(download, "dataset")
