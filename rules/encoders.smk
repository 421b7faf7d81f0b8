# Encoders that others have released, in the form of those that are trained here: no rule after this one tells them apart.
rule import_encoder:
    input:
        released_weights,
    output:
        model="results/encoders/zoo/{model}/released/s0/model.safetensors",
        meta="results/encoders/zoo/{model}/released/s0/meta.json",
    log:
        "results/logs/import_encoder/{model}.log",
    benchmark:
        "results/benchmarks/import_encoder/{model}.jsonl"
    params:
        model=released_json,
        code=released_code,
    # What is wrong with a name, or missing on the hub, should be known early.
    priority: 2
    resources:
        mem_mb=asks("import_encoder", "mem_mb"),
        runtime=asks("import_encoder", "runtime"),
    conda:
        "../envs/environment.yaml"
    wildcard_constraints:
        model=NAME,
    # Nodes of a cluster often have no way out.
    localrule: True
    script:
        "../workflow_scripts/import_encoder.py"
