rule inject_noise:
    input:
        index=rules.index_corpus.output.index,
        manifest=rules.index_corpus.output.manifest,
    output:
        manifest="results/noise/{corpus}/{noise}/manifest.json",
        transitions="results/noise/{corpus}/{noise}/transitions.parquet",
        overlay=directory("results/noise/{corpus}/{noise}/overlay"),
    log:
        "results/logs/inject_noise/{corpus}/{noise}.log",
    benchmark:
        "results/benchmarks/inject_noise/{corpus}/{noise}.jsonl"
    params:
        seed=CONFIG.noise_seed,
        groups=noise_groups,
        percent_of=percent_of,
        code=noise_code,
    resources:
        mem_mb=asks("inject_noise", "mem_mb", corpus_samples),
        runtime=asks("inject_noise", "runtime", corpus_samples),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/inject_noise.py"


rule draw_noise:
    input:
        noise=rules.inject_noise.output.manifest,
    output:
        png=report("results/figures/noise/{corpus}/{noise}.png", caption="../report/noise.rst", category="Noise"),
        pdf="results/figures/noise/{corpus}/{noise}.pdf",
    log:
        "results/logs/draw_noise/{corpus}/{noise}.log",
    benchmark:
        "results/benchmarks/draw_noise/{corpus}/{noise}.jsonl"
    params:
        data=corpus_data,
        code=code("draw_noise"),
    resources:
        mem_mb=asks("draw_noise", "mem_mb"),
        runtime=asks("draw_noise", "runtime"),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/draw_noise.py"


# Made only when it is asked for: the study itself reads the clean shards and the overlay.
rule materialise:
    input:
        noise=rules.inject_noise.output.manifest,
    output:
        manifest="results/materialised/{corpus}/{noise}/manifest.json",
    log:
        "results/logs/materialise/{corpus}/{noise}.log",
    benchmark:
        "results/benchmarks/materialise/{corpus}/{noise}.jsonl"
    params:
        data=corpus_data,
        code=code("materialise"),
    threads: 8
    resources:
        mem_mb=asks("materialise", "mem_mb"),
        runtime=asks("materialise", "runtime", corpus_samples),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/materialise.py"
