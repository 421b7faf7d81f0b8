"""`nml data`: the corpora and tasks of the catalogues, and whether they are on this disk and unchanged."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from nml import plugins
from nml.cli.console import console, table
from nml.cli.data_sets import COLUMNS, data_sets
from nml.corpora.catalogue import open_corpus
from nml.corpora.verify import verify_corpus
from nml.errors import UserError, nearest

CORPORA = Path("results/corpora")


def run(options: argparse.Namespace) -> None:
    """List the catalogues, fetch tasks, index corpora, or verify them, their noise and what was made of both."""
    if options.action == "index":
        _index(options.names)
    elif options.action == "verify":
        _verify(options.names)
    elif options.action == "fetch":
        _fetch(options.names)
    else:
        _list(options.json)


def _index(names: list[str]) -> None:
    """Become the workflow that indexes these corpora."""
    for name in names:
        # Here, because Snakemake would say it less well.
        open_corpus(name)
    if not names:
        raise UserError(f"say which corpus to index: {', '.join(plugins.corpora())}.")
    # That of the same environment, which need not be on the path.
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    os.execv(snakemake, [snakemake, *(f"{CORPORA}/{name}/manifest.json" for name in names)])


def _verify(names: list[str]) -> None:
    """Compare all that was made of these corpora, or of every one that is indexed, with its checksums."""
    indexed = sorted(path.parent.name for path in CORPORA.glob("*/manifest.json"))
    if unknown := [name for name in names if name not in indexed]:
        raise UserError(
            f"the corpus '{unknown[0]}' is not indexed here, so there is nothing to compare it with. Indexed: "
            f"{', '.join(indexed) or 'none'}. Index it: nml data index {unknown[0]}"
        )
    if not indexed:
        print(f"no corpus is indexed here yet ({CORPORA}), so there is nothing to compare")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    problems = [problem for name in names or indexed for problem in _wrong_with(name)]
    if problems:
        raise UserError("\n".join(problems))


def _wrong_with(name: str) -> Iterator[str]:
    """Verify all that was made of a corpus, say what is as it was, and yield what is not."""
    # Only here, because the list needs no Arrow.
    from nml.noise.verify import verify_materialised, verify_noise

    noises = sorted(path.parent for path in Path("results/noise", name).glob("*/manifest.json"))
    copies = sorted(path.parent for path in Path("results/materialised", name).glob("*/manifest.json"))
    checks = [
        (f"corpus {name}", lambda: verify_corpus(open_corpus(name), CORPORA / name)),
        *((f"noise {name}/{noise.name}", partial(verify_noise, noise, CORPORA / name)) for noise in noises),
        *((f"materialised {name}/{copy.name}", partial(verify_materialised, copy)) for copy in copies),
    ]
    for what, verify in checks:
        try:
            verify()
        except UserError as error:
            yield f"{what}: {error}"
        else:
            print(f"{what}: as it was made")


def _fetch(names: list[str]) -> None:
    """Get the data of tasks, one after the other; what fails does not stop the others."""
    # Only here, because the list needs no network.
    from nml.tasks.fetch import fetch_task

    if not names:
        raise UserError("say which task to fetch; `nml data` lists them. For example: nml data fetch cifar10")
    for name in names:
        _require_task(name)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    problems = []
    for name in names:
        try:
            print(f"{name}: in {fetch_task(name)['folder']}")
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))


def _require_task(name: str) -> None:
    if name in plugins.tasks():
        return
    if name in plugins.corpora():
        # Its error says how it is had.
        open_corpus(name)
        raise UserError(f"the corpus '{name}' is here already; only tasks are fetched.")
    meant = nearest(name, plugins.tasks())
    hint = f" Did you mean '{meant}'?" if meant else ""
    raise UserError(f"there is no task '{name}' in nml/tasks/catalogue.yaml.{hint} `nml data` lists them.")


def _list(as_json: bool) -> None:
    """Print one row for each corpus and task, as a table or as a JSON list of objects."""
    rows = list(data_sets())
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    made = table(*COLUMNS, numbers=("size",))
    for row in rows:
        made.add_row(*(row[column] for column in COLUMNS))
    console().print(made)
    console().print(
        "\nWhat must be had by hand, and how: nml data fetch NAME.\n"
        f"Where a data set lies elsewhere on this machine, write {plugins.PATHS_FILE}: `imagenet1k: /its/folder`."
    )
