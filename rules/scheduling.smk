# Snakemake's default limit of 100 starts of jobs a second makes every pass of its main loop ask for another one a second
# later, for ever. Each job that ends thus adds a pass a second, and the main process takes more and more of a core
# (docs/benchmarks.md). Without the limit, the loop passes when a job ends. A limit that somebody asks for stays.
SNAKEMAKES_OWN_LIMIT = (100, 1)


def lift_default_limit():
    """Do without the limit of job starts, unless it is another than Snakemake's own."""
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == SNAKEMAKES_OWN_LIMIT:
        # It was made before the hooks run.
        workflow.scheduler.job_rate_limiter = None
