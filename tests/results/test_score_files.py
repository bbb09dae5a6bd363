from pathlib import Path

import numpy as np
import pytest

from chain.core.errors import InputError
from chain.results.score_files import read_table


def written(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def test_ids_stay_text_and_empty_cells_are_nan(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "id,epoch,cluster\n001,1,\nNA,2,0.5\n"), ["epoch"])
    assert table["id"].tolist() == ["001", "NA"]
    assert table["epoch"].tolist() == [1, 2] and table["epoch"].dtype == np.int64
    np.testing.assert_array_equal(table["cluster"], [np.nan, 0.5])


def test_damage_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: .*no column 'k'"):
        read_table(written(tmp_path, "epoch\n1\n"), ["k"])
    with pytest.raises(InputError, match=r"'cluster' holds something else than numbers"):
        read_table(written(tmp_path, "epoch,cluster\n1,x\n"), ["epoch"])
