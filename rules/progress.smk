# What long jobs keep below results/progress goes when Snakemake knows that their outputs are there for good. The jobs
# themselves leave it: of a job that fails or is killed after it has written its outputs, Snakemake deletes these, and
# the next try writes them again from the last state, in seconds.
import atexit
import shutil
from contextlib import suppress

KEEP_PROGRESS = ("index_corpus", "pretrain", "tune_encoder")


def remove_progress():
    """Remove the progress of all such jobs that are done, in this run or in one before."""
    for job in workflow.dag.jobs:
        if job.rule.name in KEEP_PROGRESS and workflow.dag.noneedrun_finished(job) and is_there(job):
            shutil.rmtree(FOLDER / job.params.progress, ignore_errors=True)


def is_there(job):
    """Tell whether no output is missing: nobody needs it where what was made of it is there, but it is not done."""
    return all(file.is_storage or Path(FOLDER, file).exists() for file in job.output)


@atexit.register
def remove_progress_at_exit():
    """Do so however this run ends, with nothing to be done too, for which Snakemake has no hook.

    Where another run has begun meanwhile, it is left to that one; without locks, it stays. Without a scheduler,
    Snakemake only showed something.
    """
    if not workflow.is_main_process or workflow.dryrun or workflow.touch or workflow.scheduler is None:
        return
    with suppress(UserError):
        if Path(FOLDER, "results/progress").is_dir() and try_workflow_lock():
            remove_progress()
