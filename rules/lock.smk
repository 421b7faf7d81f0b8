# One run at a time in a folder: Snakemake's own lock, which profiles/default turns off, would outlive a killed run.
from nml.jobs import try_lock

# Snakemake may be somewhere else again when it exits.
FOLDER = Path.cwd()


def hold_workflow_lock():
    """Keep a second run out of this folder."""
    try:
        is_ours = try_workflow_lock()
    except UserError as error:
        raise WorkflowError(str(error))
    if not is_ours:
        raise WorkflowError("another run of this workflow is at work in this folder. Wait for it, or end it first.")


@cache
def try_workflow_lock():
    """Tell whether this run has the lock of this folder, until its end. The kernel frees it: none is ever stale."""
    global _workflow_lock
    _workflow_lock = open(FOLDER / ".snakemake/nml.lock", "wb")
    return try_lock(_workflow_lock)
