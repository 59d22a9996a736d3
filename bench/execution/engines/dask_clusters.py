"""Clusters of Dask: a scheduler somewhere, workers on this machine, or jobs of a queue."""

from __future__ import annotations

import inspect
import logging
import shlex
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, cut
from bench.execution.engines.queue_options import JOBS, expect_known, jobs_of
from bench.execution.local import ctrl_c_blocked

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0  # until somebody must have answered at the address of a scheduler
GONE_S = 60.0  # without the scheduler, after which a run ends


@contextmanager
def dask_client(cluster: Any) -> Iterator[Client]:
    """A connection to a scheduler, by its address, or to a cluster.

    Raises BenchError where nobody answers.
    """
    import dask
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if isinstance(cluster, str):
        expect_listener(cluster)
    with dask.config.set({"distributed.comm.timeouts.tcp": "120s"}):
        try:
            client = Client(cluster, timeout=GONE_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as problem:
            raise BenchError(
                f"--scheduler {cut(str(cluster))} given; what listens there does not answer as a "
                f"Dask scheduler ({type(problem).__name__}); give the address of one"
            ) from None
        try:
            yield client
        finally:
            with suppress(OSError, TimeoutError, RuntimeError):
                client.close(timeout=CONNECT_S)


def expect_listener(address: str) -> None:
    """Raise BenchError for what is no address, or one at which nobody listens."""
    from distributed.comm import get_address_host_port

    try:
        host, port = get_address_host_port(address, strict=True)
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except ValueError:
        raise BenchError(
            f"--scheduler {cut(address)} given; expected an address such as tcp://host:8786"
        ) from None
    except OSError as problem:
        raise BenchError(
            f"--scheduler {cut(address)} given; nobody listens there "
            f"({problem.strerror or problem}); start 'dask scheduler', or give its address"
        ) from None


@contextmanager
def cluster_here(workers: int) -> Iterator[Any]:
    """A cluster of worker processes on this machine, which no other machine can reach."""
    import dask
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    rules = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.memory.terminate": False,  # cells have processes of their own
    }
    with dask.config.set(rules), ExitStack() as stack:
        with ctrl_c_blocked():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
        yield cluster


def check_queue(queue: str, options: dict[str, Any]) -> None:
    """Raise BenchError for options that a queue does not have, or a queue that is not here."""
    import dask_jobqueue

    jobs_of(options, default=1)
    kind = getattr(dask_jobqueue, f"{queue.upper()}Cluster")
    known: set[str] = set()
    for maker in (*kind.__mro__, *kind.job_cls.__mro__):
        known |= set(inspect.signature(maker.__init__).parameters)
    expect_known(options, known - {"self", "args", "kwargs", "job_kwargs", "base_class_kwargs"})
    command = shlex.split(kind.job_cls.submit_command)[0]
    if shutil.which(command) is None:
        raise BenchError(
            f"--queue {queue} given; {command} is not on this machine; run it where jobs are "
            "submitted"
        )


@contextmanager
def cluster_of_queue(queue: str, options: dict[str, Any]) -> Iterator[Any]:
    """Workers that are jobs of a queue. Raises BenchError where they cannot be asked for."""
    import dask
    import dask_jobqueue

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    named = {name: value for name, value in options.items() if name != JOBS}
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        try:
            cluster = getattr(dask_jobqueue, f"{queue.upper()}Cluster")(**named)
            cluster.scale(jobs=jobs_of(options, default=1))
        except (OSError, ValueError, TypeError, RuntimeError) as problem:
            reason = str(problem).strip().partition("\n")[0]
            raise BenchError(
                f"--queue {queue} --queue-options: {reason}; see docs/clusters.md"
            ) from None
        with cluster:
            yield cluster
