# One job does all of an (encoder, task): the features are made or read once, and the heads of every method and seed
# train together. Starting Python for each of them would take longer than the work.
rule tune:
    input:
        model="results/encoders/{encoder}/model.safetensors",
        data=ancient(task_marker),
    output:
        cells=expand("results/cells/{{encoder}}/{{task}}/{method}.parquet", method=METHODS),
        predictions=expand("results/cells/{{encoder}}/{{task}}/{method}.predictions.parquet", method=METHODS),
        meta=expand("results/cells/{{encoder}}/{{task}}/{method}.meta.json", method=METHODS),
        spectrum="results/spectra/{encoder}/{task}.parquet",
    log:
        "results/logs/tune/{encoder}/{task}.log",
    benchmark:
        "results/benchmarks/tune/{encoder}/{task}.jsonl"
    params:
        methods=json.dumps({name: CONFIG.methods[name].model_dump() for name in METHODS}),
        seeds=CONFIG.seeds,
        data=task_data,
        # A cache keyed by its content, not a declared output: nml/features/cache.py says why.
        features=lambda wildcards: f"results/features/{wildcards.encoder}/{task_of(wildcards).name}",
        features_code=features_code,
        noise_seed=lambda wildcards: CONFIG.noise_seed if task_of(wildcards).noise.percent else None,
        code=tune_code,
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/tune.py"
