from nml.reporting.labels import FIGURES, TABLES


rule build_tables:
    input:
        cells=CELLS,
        # Read from beside the cells.
        predictions=PREDICTIONS,
        spectra=SPECTRA,
        metas=[f"results/encoders/{encoder}/meta.json" for encoder in ENCODERS],
        # Read from beside the metadata.
        logs=[f"results/encoders/{encoder}/log.csv" for encoder in ENCODERS if encoder.is_trained],
    output:
        main="results/tables/main.txt",
        parquet=expand("results/tables/{table}.parquet", table=TABLES),
        latex=expand("results/tables/{table}.tex", table=TABLES),
        markdown=[
            report(f"results/tables/{table}.md", caption=f"../report/{table}.rst", category="Tables")
            for table in TABLES
        ],
    log:
        "results/logs/build_tables.log",
    benchmark:
        "results/benchmarks/build_tables.jsonl"
    params:
        code=code("build_tables", "nml/reporting/published.csv"),
        data=lambda wildcards: [shown_of_task(task) for task in data_sets_of(CONFIG)],
    resources:
        mem_mb=asks("build_tables", "mem_mb", cell_count),
        runtime=asks("build_tables", "runtime", cell_count),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/build_tables.py"


rule draw_figures:
    input:
        rules.build_tables.output.parquet,
    output:
        png=[
            report(f"results/figures/{figure}.png", caption=f"../report/{figure}.rst", category="Figures")
            for figure in FIGURES
        ],
        pdf=expand("results/figures/{figure}.pdf", figure=FIGURES),
    log:
        "results/logs/draw_figures.log",
    benchmark:
        "results/benchmarks/draw_figures.jsonl"
    params:
        code=code("draw_figures"),
    resources:
        mem_mb=asks("draw_figures", "mem_mb"),
        runtime=asks("draw_figures", "runtime"),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/draw_figures.py"


rule write_report:
    input:
        tables=rules.build_tables.output.parquet,
        figures=rules.draw_figures.output.png,
        noise=NOISE_PICTURES,
        tasks=TASK_PICTURES,
    output:
        report("results/report/index.html", caption="../report/report.rst", category="Report"),
    log:
        "results/logs/write_report.log",
    benchmark:
        "results/benchmarks/write_report.jsonl"
    params:
        title=CONFIG.name,
        code=code("write_report", "nml/reporting/templates/report.html.j2", "nml/reporting/templates/cells.js"),
    resources:
        mem_mb=asks("write_report", "mem_mb", cell_count),
        runtime=asks("write_report", "runtime"),
    conda:
        "../envs/environment.yaml"
    script:
        "../workflow_scripts/write_report.py"
