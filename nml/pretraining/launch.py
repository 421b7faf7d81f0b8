"""Training in one process, or in as many as there are GPUs, which `torchrun` starts on one machine or several."""

import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nml.artifacts import read_json, write_json
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.devices import limit_threads
from nml.errors import UserError
from nml.jobs import log_handlers
from nml.leases import held
from nml.preemption import Preempted, asked, stoppable, undisturbed
from nml.pretraining.pretrain import pretrain
from nml.pretraining.run import Run
from nml.pretraining.torchrun import die_with_torchrun
from nml.pretraining.world import World, joined

logger = logging.getLogger("nml")

JOB = "job.json"
# torchrun passes these on to its processes, and gives them the seconds until it kills them: a step and a checkpoint.
# As options, since it overwrites the variable for the signals.
PASSED_ON = ["--signals-to-handle", "SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT", "--shutdown-timeout", "120"]
_POLL = 0.5


def launch(
    run: Run, out_dir: Path, threads: int, processes: int, log: Path, nodes: int = 1, starter: str = "srun"
) -> None:
    """Train an encoder with some processes, and write it to `out_dir`.

    Each process computes with its share of its machine's threads, and has one loader less than that.

    Parameters
    ----------
    run : what to train; with several nodes, all of its files lie where every node sees them
    out_dir : the encoder's folder
    threads : of one node
    processes : of all nodes together, one a GPU; with one, it is this process
    log : file that the processes add their lines to
    nodes : machines; this one is among them
    starter : command that starts one process on each node of the job's allocation, such as `srun`

    Raises
    ------
    UserError
        If the processes cannot be shared out evenly; as `nml.pretraining.engine.train` does; of several processes, that
        one of them failed.
    """
    if processes % nodes:
        raise UserError(
            f"{run.label}: {processes} GPUs cannot be shared out evenly to {nodes} nodes. Set the resource gpu of rule "
            f"pretrain, the GPUs of all nodes together, to a multiple of {nodes}."
        )
    here = processes // nodes
    own = max(1, threads // here)
    run = replace(run, loader_workers=own - 1)
    if processes == 1:
        limit_threads(own)
        pretrain(run, out_dir)
        return
    job = run.progress_dir / JOB
    write_json(job, _described(run) | {"out_dir": str(out_dir), "threads": own, "log": str(log)})
    command = [*_torchrun(here, threads, nodes, starter), "-m", __name__, str(job)]
    if _run(command):
        raise UserError(f"{run.label}: one of the {processes} processes failed; its message stands above and in {log}.")


def _run(command: list[str]) -> int:
    """Run a command to its end and return its exit code; when asked to stop, let it save its state first.

    Raises
    ------
    Preempted
        If this process was asked to stop, and the command did not get to its end.
    """
    # A group of its own, so that it hears of a stop once: a second signal would end it before its processes have saved.
    # It may live on when this process is killed, and then still has the lock and the devices.
    with undisturbed(), subprocess.Popen(command, pass_fds=held(), start_new_session=True) as process:
        try:
            code = _wait(process)
        except BaseException:
            process.kill()
            raise
    if code and asked():
        raise Preempted
    return code


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return a process' exit code; ask it to stop, once, when this one is asked."""
    while not asked():
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL)
    process.terminate()
    return process.wait()


def _torchrun(processes: int, threads: int, nodes: int, starter: str) -> list[str]:
    """Return the command that starts some processes on each node, which share its threads."""
    # Without a folder for logs of its own, it would leave an empty one among the machine's temporary files.
    torchrun = [sys.executable, "-m", "nml.pretraining.torchrun", "--log-dir", os.devnull, *PASSED_ON]
    torchrun += ["--nproc-per-node", str(processes)]
    if nodes == 1:
        return [*torchrun, "--standalone"]
    # The nodes find each other through this one, which runs the job's script and so is the first.
    endpoint = f"{socket.gethostname()}:{_free_port()}"
    meeting = ["--nnodes", str(nodes), "--rdzv-backend", "c10d", "--rdzv-id", endpoint, "--rdzv-endpoint", endpoint]
    # A step gets one processor unless it asks for more. Without the last option, others would wait for a failed node.
    once_a_node = ["--nodes", str(nodes), "--ntasks", str(nodes), "--ntasks-per-node", "1"]
    return [starter, *once_a_node, "--cpus-per-task", str(threads), "--kill-on-bad-exit=1", *torchrun, *meeting]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def _described(run: Run) -> dict[str, Any]:
    """Return a run as JSON can hold it."""
    return {
        "label": run.label,
        "corpus": run.corpus.name,
        "noise_dir": str(run.noise_dir),
        "recipe": run.recipe.model_dump_json(),
        "recipe_name": run.recipe_name,
        "seed": run.seed,
        "progress_dir": str(run.progress_dir),
        "code": run.code,
        "loader_workers": run.loader_workers,
        "validate_on": run.validation_corpus.name,
        "max_corrupt_share": run.max_corrupt_share,
        "watch": list(run.watch),
    }


def read_run(described: dict[str, Any]) -> Run:
    """Return the run that `launch` described; its corpus is opened from the catalogue."""
    return Run(
        label=described["label"],
        corpus=open_corpus(described["corpus"]),
        noise_dir=Path(described["noise_dir"]),
        recipe=Recipe.model_validate_json(described["recipe"]),
        recipe_name=described["recipe_name"],
        seed=described["seed"],
        progress_dir=Path(described["progress_dir"]),
        code=described["code"],
        loader_workers=described["loader_workers"],
        validate_on=open_corpus(described["validate_on"], ["validation"]),
        max_corrupt_share=described["max_corrupt_share"],
        watch=tuple(described["watch"]),
    )


def main(job_file: Path) -> None:
    """Take part in a training that `launch` started; the first process writes what comes of it."""
    with stoppable():
        die_with_torchrun()
        with joined() as world:
            _take_part(read_json(job_file), world)


def _take_part(job: dict[str, Any], world: World) -> None:
    _log_to(job["log"], world)
    limit_threads(job["threads"])
    try:
        pretrain(read_run(job), Path(job["out_dir"]), world)
    except UserError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logger.exception("the training failed")
        sys.exit(1)


def _log_to(file: str, world: World) -> None:
    """Add what this process logs to the job's log: everything of the first, of the others what goes wrong."""
    level, prefix = (logging.WARNING, f"process {world.rank}: ") if world.rank else (logging.INFO, "")
    logging.basicConfig(level=level, format=f"{prefix}%(message)s", handlers=log_handlers(file))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
