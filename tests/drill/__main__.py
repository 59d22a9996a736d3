"""Kills parts of a Dask cluster at random moments: `python -m tests.drill --rounds 20 --seed 0`.

Each round runs a suite on a scheduler with two workers, which have working folders of their own. It
kills a worker, then the scheduler, then the driver, and has the same command go on each time. The
board must equal that of an undisturbed run on one machine. Exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.drill.namespaces import two_namespaces
from tests.support.command_line import PLUGINS, ROOT, suite_file
from tests.support.dask_cluster import HERE, DaskCluster, Host, dask_cluster, kill
from tests.torture import subject

TARGETS = ("worker", "scheduler", "driver")
CUT_AFTER_S = 12.0
CUT_FOR_S = 15.0
LIMIT_S = 600.0  # for a driver to end by itself


def parse() -> argparse.Namespace:
    """The options of the drill."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    parser.add_argument("--suite", type=Path, default=None, help="a suite file; a toy if not given")
    parser.add_argument("--size", default=None, help="an entry of its sizes")
    return parser.parse_args()


class Drill:
    """A suite that is run again and again into new folders."""

    def __init__(self, place: Path, suite: Path | None, size: str | None) -> None:
        self.place = place
        self.suite = suite or suite_file(place, subsets=3, methods=["threshold", "shifted"])
        self.size = [] if size is None else ["--size", size]

    def start(self, out: Path, words: Sequence[str], host: Host = HERE) -> subprocess.Popen[str]:
        """Start a run into a folder; what it says goes to a file beside it."""
        out.parent.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, str(ROOT / "run_bench.py"), "run", str(self.suite)]
        command = [*host.prefix, *program, "--out", str(out), *self.size, *PLUGINS, *words]
        with out.with_suffix(".txt").open("a") as said:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=said,
                stderr=said,
                text=True,
                start_new_session=True,
                env={**os.environ, "SCARCEBENCH_MLFLOW": "off"},
            )

    def undisturbed(self) -> tuple[Path, float]:
        """A run on this machine, and the seconds it took. Raises RuntimeError where it fails."""
        out = self.place / "undisturbed" / "out"
        began = time.monotonic()
        run = self.start(out, [])
        if run.wait(timeout=LIMIT_S):
            raise RuntimeError(out.with_suffix(".txt").read_text()[-2000:])
        return out, time.monotonic() - began

    def round(self, seed: int, reference: Path, seconds: float) -> str:
        """One round; returns what was wrong, or ""."""
        chance = random.Random(seed)
        folder = self.place / f"round{seed}"
        out = folder / "runs" / "out"
        with dask_cluster(folder / "dask") as cluster:
            for target in TARGETS:
                moment = chance.uniform(0.0, seconds)
                fault = self._disturb(cluster, out, target, moment)
                if fault:
                    return fault
            fault = self._end(cluster, out)
        if not fault:
            fault = difference(out, reference)
        if not fault:
            shutil.rmtree(folder)
        return fault

    def cut_round(self, hosts: tuple[Host, Host], reference: Path) -> str:
        """A run on two hosts whose network is cut for a while; returns what was wrong, or ""."""
        folder = self.place / "namespaces"
        out = folder / "runs" / "out"
        with dask_cluster(folder / "dask", hosts) as cluster:
            words = ["--engine", "dask", "--scheduler", cluster.address]
            driver = self.start(out, words, hosts[0])
            time.sleep(CUT_AFTER_S)
            cut = [*hosts[1].prefix, "ip", "link", "set", "veth"]
            subprocess.run([*cut, "down"], check=True)
            time.sleep(CUT_FOR_S)
            subprocess.run([*cut, "up"], check=True)
            code = _wait(driver)
            if code != 0:
                return f"exit code {code}: {out.with_suffix('.txt').read_text()[-1500:]}"
        return difference(out, reference)

    def _disturb(self, cluster: DaskCluster, out: Path, target: str, moment: float) -> str:
        """Start the command, kill one process at a moment, and see how the command ends."""
        driver = self.start(out, ["--engine", "dask", "--scheduler", cluster.address])
        time.sleep(moment)
        if target == "worker":
            kill(cluster.workers.pop(0))
            code = _wait(driver)
            cluster.add_worker(cluster.address)
        elif target == "scheduler":
            assert cluster.scheduler is not None
            kill(cluster.scheduler)
            code = _wait(driver)
            for worker in cluster.workers:
                kill(worker)
            cluster.workers.clear()
            cluster.start([HERE, HERE])
        else:
            kill(driver)
            return ""
        said = out.with_suffix(".txt").read_text()
        if "Traceback" in said:
            return f"a traceback after the {target} was killed: {said[-1500:]}"
        # Without a scheduler the command ends with one line, unless it was about to end.
        allowed = (0, 2) if target == "scheduler" else (0,)
        if code not in allowed:
            return f"exit code {code} after the {target} was killed: {said[-1500:]}"
        return ""

    def _end(self, cluster: DaskCluster, out: Path) -> str:
        """Let the command go on to its end."""
        driver = self.start(out, ["--engine", "dask", "--scheduler", cluster.address])
        code = _wait(driver)
        if code != 0:
            return f"exit code {code} at the end: {out.with_suffix('.txt').read_text()[-1500:]}"
        return ""


def _wait(driver: subprocess.Popen[str]) -> int | None:
    """The exit code of a driver; None, and it is killed, where it does not end."""
    try:
        return driver.wait(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        kill(driver)
        return None


def difference(out: Path, reference: Path) -> str:
    """How a board differs from that of the undisturbed run."""
    boards = [subject.board_of(folder.parent) for folder in (out, reference)]
    return subject.difference(*boards)


def main() -> int:
    """All rounds; 1 if a board differed."""
    # What ends the drill must not leave its schedulers and workers behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parse()
    seed = options.seed if options.seed is not None else int(time.time())
    faults = []
    with tempfile.TemporaryDirectory(prefix="drill-") as place:
        drill = Drill(Path(place), options.suite, options.size)
        reference, seconds = drill.undisturbed()
        print(f"seed {seed}; undisturbed: {seconds:.0f} s", flush=True)
        for number in range(options.rounds):
            began = time.monotonic()
            fault = drill.round(seed + number, reference, seconds)
            took = time.monotonic() - began
            print(f"round {number + 1}, {took:.0f} s: {fault or 'the same board'}", flush=True)
            faults += [fault] if fault else []
        with two_namespaces() as hosts:
            if hosts is None:
                print("no round on two hosts: this machine lets nobody make network namespaces")
            else:
                fault = drill.cut_round(hosts, reference)
                print(f"two hosts, network cut: {fault or 'the same board'}", flush=True)
                faults += [fault] if fault else []
    print(f"{len(faults)} rounds gave another board")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
