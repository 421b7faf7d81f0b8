# Gets the data of one real task, unless it is on this disk. Embedded tasks never need it.
rule fetch_task:
    output:
        ready="results/tasks/{task}/ready.json",
    log:
        "results/logs/fetch_task/{task}.log",
    benchmark:
        "results/benchmarks/fetch_task/{task}.jsonl"
    params:
        data=task_data,
        code=code("fetch_task"),
    # The network is slow, and what is missing should be known early.
    priority: 2
    resources:
        mem_mb=asks("fetch_task", "mem_mb"),
        runtime=asks("fetch_task", "runtime"),
    conda:
        "../envs/environment.yaml"
    # Nodes of a cluster often have no way out.
    localrule: True
    script:
        "../workflow_scripts/fetch_task.py"


# One job for all tasks: drawing one takes less time than starting Python. What cannot be drawn says so in its picture.
rule draw_tasks:
    input:
        [ancient(data_marker(task)) for task in data_sets_of(CONFIG)],
    output:
        png=TASK_PICTURES,
    log:
        "results/logs/draw_tasks.log",
    benchmark:
        "results/benchmarks/draw_tasks.jsonl"
    params:
        tasks=data_sets_of(CONFIG),
        data=[described_task(task) for task in data_sets_of(CONFIG)],
        code=code("draw_tasks", *reader_files(data_sets_of(CONFIG))),
    resources:
        mem_mb=asks("draw_tasks", "mem_mb"),
        runtime=asks("draw_tasks", "runtime"),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/draw_tasks.py"
