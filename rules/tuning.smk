# One job does all of an (encoder, task): the features are made or read once, and the heads of a cell train
# together. Starting Python for each of them would take longer than the work. Cells that nothing changed for are
# not made anew, but put back from results/kept: nml/evaluation/kept.py says how.
rule tune:
    input:
        model="results/encoders/{encoder}/model.safetensors",
        data=ancient(task_marker),
    output:
        cells=expand("results/cells/{{encoder}}/{{task}}/{method}.parquet", method=HEAD_METHODS),
        predictions=expand("results/cells/{{encoder}}/{{task}}/{method}.predictions.parquet", method=HEAD_METHODS),
        meta=expand("results/cells/{{encoder}}/{{task}}/{method}.meta.json", method=HEAD_METHODS),
        spectrum="results/spectra/{encoder}/{task}.parquet",
    log:
        "results/logs/tune/{encoder}/{task}.log",
    benchmark:
        "results/benchmarks/tune/{encoder}/{task}.jsonl"
    params:
        methods=json.dumps({name: head_method(name) for name in HEAD_METHODS}),
        seeds=CONFIG.seeds,
        fractions=list(CONFIG.fractions),
        data=task_data,
        # A cache keyed by its content, not a declared output: nml/features/cache.py says why.
        features=lambda wildcards: f"results/features/{wildcards.encoder}/{task_of(wildcards).name}",
        features_code=features_code,
        noise_seed=task_noise_seed,
        code=tune_code,
        method_code=json.dumps({name: code_of(*method_files([name])) for name in HEAD_METHODS}),
    resources:
        mem_mb=asks("tune", "mem_mb", features_to_hold),
        runtime=asks("tune", "runtime", task_images),
        gpu=1,
        # Heads are small: four of these jobs share a device.
        gpu_percent=share_of_device(25),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/tune.py"


# A method that changes the encoder trains a network a seed, one after another. Adding one reruns no other.
rule tune_encoder:
    input:
        model="results/encoders/{encoder}/model.safetensors",
        data=ancient(task_marker),
    output:
        cell="results/cells/{encoder}/{task}/{method}.parquet",
        predictions="results/cells/{encoder}/{task}/{method}.predictions.parquet",
        meta="results/cells/{encoder}/{task}/{method}.meta.json",
    log:
        "results/logs/tune_encoder/{encoder}/{task}/{method}.log",
    benchmark:
        "results/benchmarks/tune_encoder/{encoder}/{task}/{method}.jsonl"
    params:
        hyperparameters=hyperparameters,
        seeds=CONFIG.seeds,
        fractions=list(CONFIG.fractions),
        data=task_data,
        # Not a declared output, so that it survives a kill and the next try resumes from it.
        progress="results/progress/tuning/{encoder}/{task}/{method}",
        noise_seed=task_noise_seed,
        code=tune_encoder_code,
    resources:
        mem_mb=asks("tune_encoder", "mem_mb", task_images),
        runtime=asks("tune_encoder", "runtime", tuned_images),
        gpu=1,
        gpu_percent=share_of_device(WHOLE),
    conda:
        "../envs/environment.yaml"
    wildcard_constraints:
        # "(?!)" matches nothing: without such a method, no cell is made by this rule.
        method="|".join(ENCODER_METHODS) or "(?!)",
    script:
        "../workflow_scripts/tune_encoder.py"
