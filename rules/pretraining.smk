ruleorder: initialise_encoder > pretrain


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
    conda:
        "../envs/environment.yaml"
    params:
        recipe=recipe_json,
        # Not a declared output, so that it survives a kill and the next try resumes from it.
        progress="results/progress/{corpus}/{recipe}/{noise}/s{seed}.safetensors",
        code=lambda wildcards: code("pretrain", architecture_file(wildcards.recipe)),
    script:
        "../workflow_scripts/pretrain.py"


rule initialise_encoder:
    output:
        model="results/encoders/none/{recipe}/untrained/s{seed}/model.safetensors",
        meta="results/encoders/none/{recipe}/untrained/s{seed}/meta.json",
    log:
        "results/logs/initialise_encoder/{recipe}/s{seed}.log",
    benchmark:
        "results/benchmarks/initialise_encoder/{recipe}/s{seed}.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        recipe=recipe_json,
        code=lambda wildcards: code("initialise_encoder", architecture_file(wildcards.recipe)),
    script:
        "../workflow_scripts/initialise_encoder.py"
