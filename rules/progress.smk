# What trainings keep below results/progress goes when Snakemake knows that their outputs are there for good. The jobs
# themselves leave it: of a job that fails or is killed after it has written its outputs, Snakemake deletes these, and
# the next try writes them again from the last state, in seconds.
import shutil

KEEP_PROGRESS = ("pretrain", "tune_encoder")


def remove_progress():
    """Remove the progress of all trainings that are done, in this run or in one before."""
    for job in workflow.dag.jobs:
        if job.rule.name in KEEP_PROGRESS and workflow.dag.noneedrun_finished(job):
            shutil.rmtree(job.params.progress, ignore_errors=True)
