"""A cell folder that was copied over another one is noticed, whatever was sealed again."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.store import Store
from bench.verify import verify as verifying
from bench.verify.mismatch import Check
from reports import write
from tests.support import tiny_bench
from tests.support.sealed import edit_sealed


def copies(store: Store) -> Check:
    checks = verifying.verify(store, write, deep=True)
    return next(check for check in checks if check.what == "measured times")


def test_a_cell_that_holds_the_work_of_another_one(tmp_path: Path) -> None:
    """With its key set and sealed again it passed `verify --deep`, with the other one's scores."""
    store = Store(tmp_path / "toy")
    methods = ["threshold", {"method": "threshold", "variant": "b", "config": {"fault": "other"}}]
    tiny_bench.run(tiny_bench.toy_suite(methods=methods, subsets=1), store, workers=1)
    tiny_bench.report(store)
    assert copies(store).count == 4
    assert not copies(store).mismatches
    first, *_, last = tiny_bench.planned(store)
    source, target = store.cell(first.key), store.cell(last.key)
    job = (target.path / "cell.json").read_bytes()
    shutil.rmtree(target.path)
    shutil.copytree(source.path, target.path)
    (target.path / "cell.json").write_bytes(job)
    edit_sealed(target.path / "result.json", lambda result: result.update(key=target.key))
    tiny_bench.report(store)
    [mismatch] = copies(store).mismatches
    assert mismatch.file == f"cells/{target.key}/result.json"
    assert str(mismatch).endswith(f"stored that of cells/{source.key}, derived a cost of its own")
