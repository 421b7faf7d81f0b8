# The whole study as one workflow: corrupt, pre-train, extract, tune, evaluate, report. See docs/architecture.md.
from snakemake.utils import min_version

min_version("9.27")

if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/lock.smk"
include: "rules/code.smk"
include: "rules/data.smk"
include: "rules/released.smk"
include: "rules/devices.smk"
include: "rules/resources.smk"
include: "rules/progress.smk"
include: "rules/scheduling.smk"
include: "rules/corpora.smk"
include: "rules/noise.smk"
include: "rules/tasks.smk"
include: "rules/pretraining.smk"
include: "rules/encoders.smk"
include: "rules/tuning.smk"
include: "rules/reporting.smk"


onstart:
    hold_workflow_lock()
    limit_gpu_jobs()
    lift_default_limit()
    require_data(workflow.dag.needrun_jobs())
    remove_progress()


rule all:
    default_target: True
    input:
        CELLS,
        PREDICTIONS,
        lost_metadata,
        SPECTRA,
        "results/report/index.html",
