# How the GPUs of one machine are shared out: which part of them a job takes, and that no more start than fit at once.
# Which device each job gets, it finds out itself (nml/leases.py).
from nml.errors import UserError
from nml.leases import WHOLE, visible_devices

GPU_PERCENT = "gpu_percent"


def share_of_device(percent):
    """Return what gives `gpu_percent`: so much of each of a job's devices, whatever `--set-resources` made of `gpu`.

    It is all of each where a scheduler has set whole ones aside for the job.
    """

    def share(wildcards, rulename):
        devices = workflow.get_rule(rulename).resources["gpu"].value or 0
        return devices * (percent if workflow.local_exec and not workflow.remote_exec else WHOLE)

    return share


def limit_gpu_jobs():
    """Let Snakemake start only as many jobs on this machine as its GPUs have room for; the others would wait in vain.

    What `--resources gpu_percent=…` says comes first. Jobs of a scheduler are its own concern.
    """
    wanted = any(job.resources.get("gpu", 0) for job in workflow.dag.needrun_jobs())
    if not wanted or not workflow.local_exec or GPU_PERCENT in workflow.global_resources:
        return
    try:
        room = WHOLE * len(visible_devices())
    except UserError as error:
        raise WorkflowError(str(error))
    if room:
        workflow.register_resource(GPU_PERCENT, room)
        # Snakemake looks here for what jobs take away; it was filled before the hooks ran.
        workflow.scheduler.global_resources[GPU_PERCENT] = room
        _require_room(room)


def _require_room(room):
    """Stop before the first job if one asks for more than there is: it would only find out itself, after others."""
    for job in workflow.dag.needrun_jobs():
        if WHOLE * job.resources.get("gpu", 0) > room and job.resources.get("nodes", 1) == 1:
            raise WorkflowError(
                f"rule {job.rule.name} asks for {job.resources.gpu} GPUs, and this machine has {room // WHOLE} for it. "
                f"Lower its resource gpu: --set-resources {job.rule.name}:gpu={room // WHOLE}."
            )
