rule pretrain:
    input:
        noise=rules.inject_noise.output.manifest,
    output:
        model="results/encoders/{corpus}/{recipe}/{noise}/s{seed}/model.safetensors",
        meta="results/encoders/{corpus}/{recipe}/{noise}/s{seed}/meta.json",
        log="results/encoders/{corpus}/{recipe}/{noise}/s{seed}/log.csv",
    log:
        "results/logs/pretrain/{corpus}/{recipe}/{noise}/s{seed}.log",
    benchmark:
        "results/benchmarks/pretrain/{corpus}/{recipe}/{noise}/s{seed}.jsonl"
    params:
        recipe=recipe_json,
        data=corpus_data,
        validate_on=validation_corpus,
        validation_data=validation_data,
        templates=validation_templates,
        # Not a declared output, so that it survives a kill and the next try resumes from it.
        progress="results/progress/{corpus}/{recipe}/{noise}/s{seed}",
        code=lambda wildcards: code("pretrain", architecture_file(wildcards.recipe)),
    # What everything else waits for goes first, so that no core idles at the end.
    priority: 1
    resources:
        mem_mb=asks("pretrain", "mem_mb", corpus_samples),
        runtime=asks("pretrain", "runtime", trained_samples),
        gpu=1,
        gpu_percent=share_of_device(WHOLE),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/pretrain.py"


rule initialise_encoder:
    input:
        manifest=rules.index_corpus.output.manifest,
    output:
        model="results/encoders/{corpus}/{recipe}/untrained/s{seed}/model.safetensors",
        meta="results/encoders/{corpus}/{recipe}/untrained/s{seed}/meta.json",
    log:
        "results/logs/initialise_encoder/{corpus}/{recipe}/s{seed}.log",
    benchmark:
        "results/benchmarks/initialise_encoder/{corpus}/{recipe}/s{seed}.jsonl"
    params:
        recipe=recipe_json,
        data=corpus_data,
        code=lambda wildcards: code("initialise_encoder", architecture_file(wildcards.recipe)),
    resources:
        mem_mb=asks("initialise_encoder", "mem_mb"),
        runtime=asks("initialise_encoder", "runtime"),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/initialise_encoder.py"
