"""The project's own sources load nothing that could run a program, and hand nothing to a shell."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("nml", "workflow_scripts", "rules", "benchmarks", "data")
RUN_WHAT_THEY_READ = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle", "hickle"),
    *("pandas.io.pickle", "multiprocessing.reduction", "torch.serialization", "torch.package", "torch.hub", "code"),
}
"""Modules whose readers run what a file says."""
CALLS = {
    *("eval", "exec", "compile", "__import__", "read_pickle", "unsafe_load", "full_load", "unsafe_load_all"),
    *("load_state_dict_from_url", "PyExtensionType", "PickleType", "system", "popen", "getstatusoutput"),
}
"""Functions that run what they are given, by the last part of their name; `model.eval()` takes nothing."""
# Where one of these is, and why that is safe.
ALLOWED = {
    ("nml/tasks/readers/cifar.py", "pickle"): "CIFAR is a pickle; its reader calls stand-ins alone",
    ("benchmarks/tasks.py", "pickle"): "writes an imitation of CIFAR, and reads none",
    ("benchmarks/loader.py", "webdataset's reader"): "is compared with, on shards that the benchmark wrote",
}


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)


def findings(tree: ast.AST) -> set[str]:
    """Return what in a module could run what it reads."""
    return {found for node in ast.walk(tree) for found in _of_node(node)}


def _of_node(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if _is_dangerous(alias.name)]
    if isinstance(node, ast.ImportFrom):
        names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        return [name for name in names if _is_dangerous(name)][:1]
    return _of_call(node) if isinstance(node, ast.Call) else []


def _is_dangerous(module: str) -> bool:
    return module in RUN_WHAT_THEY_READ or module.partition(".")[0] in RUN_WHAT_THEY_READ


def _of_call(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    constants = {word.arg: getattr(word.value, "value", ...) for word in call.keywords}
    found = [last] if last in CALLS and not _is_harmless(name, call) else []
    found += [f"{word}=" for word in ("allow_pickle", "shell", "trust_remote_code") if constants.get(word, False)]
    if name == "torch.load" and constants.get("weights_only") is not True:
        found.append("torch.load")
    if name in ("yaml.load", "yaml.load_all"):
        found.append(name)
    if name.startswith(("torch.jit.load", "torch.hub", "torch.package")):
        found.append(name)
    # webdataset's own reader decodes members by their suffix, and unpickles some.
    return [*found, *(["webdataset's reader"] if last in ("WebDataset", "WebLoader", "autodecode") else [])]


def _is_harmless(name: str, call: ast.Call) -> bool:
    return name in ("re.compile", "torch.compile") or (name.endswith(".eval") and not call.args)


def all_findings() -> set[tuple[str, str]]:
    return {
        (str(path.relative_to(ROOT)), item)
        for path in sources()
        for item in findings(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_the_sources_read_nothing_that_could_run_and_every_exception_is_needed() -> None:
    assert all_findings() == set(ALLOWED)


def test_rules_run_scripts_alone() -> None:
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"^\s*(shell|run|wrapper|notebook|cwl)\s*:|\bshell\(|\bpickle\b|\beval\(|\bexec\(", text, re.M
        )


def test_the_exception_for_cifar_never_unpickles_by_itself() -> None:
    tree = ast.parse((ROOT / "nml/tasks/readers/cifar.py").read_text())
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("pickle.")} == {"pickle.Unpickler", "pickle.UnpicklingError"}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=allowed)",
        "pd.read_pickle(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
        "wds.WebDataset(urls).decode()",
        "timm.create_model(name, trust_remote_code=True)",
        "from torch import hub\nfrom torch.hub import load",
    ],
)
def test_the_scan_finds_what_it_looks_for(line: str) -> None:
    assert findings(ast.parse(line))


@pytest.mark.parametrize(
    "line",
    ["model.eval()", "re.compile('a')", "np.load(path)", "torch.load(p, weights_only=True)", "yaml.safe_load(t)"],
)
def test_the_scan_passes_over_what_is_safe(line: str) -> None:
    assert not findings(ast.parse(line))
