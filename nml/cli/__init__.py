"""The command line `nml`: what is asked for, what is there, and questions about it."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import nml
from nml.errors import UserError

LAYOUTS = ("timm", "open_clip", "torchvision")

_DONE_AS_SAID = ("query", "export", "report")
"""Commands whose help is a sentence."""

_ABOUT = """\
Look at a study: what its configuration asks for, what is done, and what came out.

These commands read files in the current folder, and need no GPU; only `nml plan --measure` trains, for some seconds.
The work itself is done by Snakemake: `snakemake` runs config.yaml, `snakemake --configfile presets/smoke.yaml` another
configuration, and `nml data index` calls it too. The network is used by `nml data fetch` alone."""

_EXAMPLES = {
    "plan": """\
  nml plan
  nml plan --config presets/smoke.yaml
  nml plan --measure""",
    "status": """\
  nml status
  nml status --missing
  nml status --json > status.json                    every job and cell: done, missing, failed or stale, and why
  snakemake $(nml status --missing | head -100)      make the first 100 missing cells, and nothing else""",
    "query": """\
  nml query task=fashion method=nmtune noise_percent=20
  nml query "SELECT task, method, avg(value) FROM cells WHERE metric = 'accuracy' GROUP BY ALL ORDER BY ALL"
  nml query "SELECT noise_percent, avg(sve) FROM spectra WHERE \\"group\\" = 'id' GROUP BY ALL ORDER BY ALL"
  nml query "SELECT address, validation_accuracy FROM encoders ORDER BY address" --csv encoders.csv
  nml query "DESCRIBE cells"

`group` is a word of SQL: write "group" in double quotes.""",
    "report": """\
  nml report
  nml report --config presets/smoke.yaml --out /tmp/half-done
  nml report --markdown docs/results-mini.md""",
    "export": """\
  nml export emoji/resnet-mini/symmetric-20/s0 exported/resnet-mini
  nml export imagenet1k/resnet50-torchvision-v1/clean/s0 exported/resnet50 --layout timm""",
    "show": """\
  nml show emoji/resnet-mini/symmetric-20/s0/fashion/nmtune
  nml show results/cells/emoji/resnet-mini/symmetric-20/s0/fashion/nmtune.parquet""",
    "compare": """\
  nml compare emoji/resnet-mini/clean/s0/fashion/lp emoji/resnet-mini/symmetric-20/s0/fashion/lp
  nml compare emoji/resnet-mini/clean/s0/fashion/lp emoji/resnet-mini/clean/s0/fashion/nmtune""",
    "merge": """\
  nml merge /mnt/other/results
  nml merge /mnt/other/results --prefer theirs""",
    "data": """\
  nml data
  nml data list --json
  nml data fetch cifar10 svhn
  nml data index imagenet1k
  nml data verify
  nml data verify emoji""",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a `UserError` ends it with its message and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        importlib.import_module(f"nml.cli.{options.command}").run(options)
    except UserError as error:
        print(f"nml {options.command}: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough; Python must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nml", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"nml {nml.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    plan = _command(
        commands, "plan", "what the configuration asks for, what of it is done, how long the rest takes and costs"
    )
    status = _command(commands, "status", "what is done and missing for each encoder and task, and what failed")
    for command in (plan, status):
        command.add_argument("--config", default="config.yaml", metavar="FILE", help="default: %(default)s")
    plan.add_argument("--measure", action="store_true", help="first train each recipe some seconds, on made-up images")
    form = status.add_mutually_exclusive_group()
    form.add_argument("--missing", action="store_true", help="only print the missing cells, one path a line")
    form.add_argument("--json", action="store_true", help="print the state of every job and cell as JSON")
    query = _command(commands, "query", "ask the results with SQL: views cells, predictions, spectra and encoders")
    query.add_argument(
        "question",
        nargs="+",
        metavar="SQL",
        help="a DuckDB statement that gives a table, or filters of cells: task=NAME",
    )
    target = query.add_mutually_exclusive_group()
    target.add_argument("--csv", metavar="FILE", help="save the whole table as CSV instead of printing it")
    target.add_argument("--parquet", metavar="FILE", help="save the whole table as Parquet instead of printing it")
    report = _command(commands, "report", "write tables, figures and page of the cells that are there")
    report.add_argument("--config", default="config.yaml", metavar="FILE", help="default: %(default)s")
    report.add_argument(
        "--out", default="results/partial", metavar="FOLDER", help="where they are written; default: %(default)s"
    )
    report.add_argument("--markdown", metavar="FILE", help="also write the results as a Markdown page with figures/")
    export = _command(commands, "export", "write an encoder as timm, open_clip or torchvision load it")
    export.add_argument("address", metavar="ENCODER", help="such as emoji/resnet-mini/symmetric-20/s0")
    export.add_argument("folder", metavar="FOLDER", type=Path, help="where to; empty, or not there yet")
    export.add_argument("--layout", choices=LAYOUTS, help="default: that of the library the encoder is made with")
    show = _command(commands, "show", "one cell: its results, its metadata and the command to rerun it")
    show.add_argument("cell", metavar="CELL", help="<encoder>/<task>/<method>, or the path of its file")
    compare = _command(commands, "compare", "two cells of a task: their difference, paired by test sample and seed")
    compare.add_argument("cells", nargs=2, metavar="CELL", help="<encoder>/<task>/<method>, or the path of its file")
    merge = _command(commands, "merge", "what was taken over from the results of another machine")
    merge.add_argument("folder", metavar="FOLDER", help="the other machine's results/")
    merge.add_argument(
        "--prefer",
        choices=("ours", "theirs"),
        help="which cell stays where both have one and they differ; without it, a difference is an error",
    )
    data = _command(
        commands, "data", "the corpora and tasks of the catalogues: are they here, how large, under which licence"
    )
    data.add_argument(
        "action",
        nargs="?",
        choices=("list", "fetch", "index", "verify"),
        default="list",
        help="list: what is here (default); fetch: get the data of these tasks, or say how it is had; index: let "
        "Snakemake index these corpora; verify: compare shards, index and noise with their SHA-256 when made",
    )
    data.add_argument("names", nargs="*", metavar="NAME", help="verify: only these; default: all that are indexed")
    data.add_argument("--json", action="store_true", help="list: as JSON instead of a table")
    return parser


def _command(commands: "argparse._SubParsersAction", name: str, about: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}." if name in _DONE_AS_SAID else f"Show {about}.",
        epilog=f"examples:\n{_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
