rule inject_noise:
    input:
        index=rules.index_corpus.output.index,
        manifest=rules.index_corpus.output.manifest,
    output:
        manifest="results/noise/{corpus}/{noise}/manifest.json",
        overlay=directory("results/noise/{corpus}/{noise}/overlay"),
    log:
        "results/logs/inject_noise/{corpus}/{noise}.log",
    benchmark:
        "results/benchmarks/inject_noise/{corpus}/{noise}.jsonl"
    params:
        seed=CONFIG.noise_seed,
        code=noise_code,
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/inject_noise.py"
