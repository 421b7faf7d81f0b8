"""The jobs that the Kubernetes profile makes, as the plugin sends them; each runs in an empty folder, as in a pod."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from nml.artifacts import read_json
from tests.small_corpus import EMOJI, keep_shards
from tests.workflow.conftest import ROOT, Project, copy_sources
from tests.workflow.kubernetes import Body, Kubernetes, container_of

pytestmark = pytest.mark.workflow
ENCODER = "results/encoders/emoji/resnet-smoke/symmetric-20/s0"
CELL = "results/cells/emoji/resnet-smoke/symmetric-20/s0/handwritten-digits/own.parquet"
RULES = ["index_corpus", "inject_noise", "pretrain", "tune"]
PROFILE = yaml.safe_load((ROOT / "profiles/kubernetes/config.yaml").read_text())


@dataclass(frozen=True)
class Run:
    """A run that is over: its project, which is image and volume at once, and the jobs by their rule."""

    project: Project
    jobs: dict[str, Body]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    if shutil.which("rsync") is None:
        if os.environ.get("NML_SCHEDULERS") == "required":
            pytest.fail("NML_SCHEDULERS=required, but rsync is not installed")
        pytest.skip("rsync is not installed, with which files are stored")
    project = copy_sources(tmp_path_factory.mktemp("volume"))
    keep_shards(project.path / EMOJI, 2)
    (project.path / "results").mkdir()
    _add_method(project)
    kubernetes = Kubernetes(tmp_path_factory.mktemp("pods"), _image(tmp_path_factory.mktemp("image")))
    try:
        output = _snakemake(project, kubernetes)
    finally:
        kubernetes.close()
    assert (project.path / CELL).is_file(), output[-5000:] + _logs(kubernetes)
    return Run(project, {_rule(job): job for job in kubernetes.jobs})


def _add_method(project: Project) -> None:
    """Add a method of one's own, in a folder that no other project has."""
    (project.path / "experiments").mkdir()
    shutil.copyfile(project.path / "nml/tuning/methods/lp.py", project.path / "experiments/own.py")
    entry = "  own: {method: experiments/own.py, learning_rate: 0.1, epochs: 3, batch_size: 256}\n"
    preset = project.path / "presets/smoke.yaml"
    preset.write_text(preset.read_text().replace("methods:\n", f"methods:\n{entry}"))


def _image(folder: Path) -> dict[str, str]:
    """Return the environment of a container: the image's programs, and a `pip` that has what it is asked for."""
    (folder / "pip").write_text("#!/bin/sh\n")
    (folder / "pip").chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    # The code is what the pod has in its folder, not the installed one.
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([".", *_more_paths()])}


def _more_paths() -> list[str]:
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in given if path and Path(path).resolve() != ROOT]


def _snakemake(project: Project, kubernetes: Kubernetes) -> str:
    """Run the profile as it is, but for where image and volume lie."""
    places = {"/nml/": f"{project.path}/", "/volume/": f"{project.path}/"}
    precommand = PROFILE["precommand"]
    for place, here in places.items():
        precommand = precommand.replace(place, here)
    options = ["--profile", "profiles/kubernetes", "--configfile", "presets/smoke.yaml", "--retries", "0"]
    options += ["--default-storage-prefix", str(project.path), "--precommand", precommand]
    options += ["--set-resources", "pretrain:gpu=1"]
    options += ["--set-threads", "pretrain=1", "index_corpus=1", "tune=1"]
    environment = project.environment | {"KUBECONFIG": str(kubernetes.configuration())}
    environment["PYTHONPATH"] = os.pathsep.join([str(project.path), *_more_paths()])
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    done = subprocess.run(
        [snakemake, *options, "--", CELL],
        cwd=project.path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def _logs(kubernetes: Kubernetes) -> str:
    return "".join(path.read_text()[-2000:] for path in kubernetes.folder.glob("*.log"))


def _rule(job: Body) -> str:
    return container_of(job)["args"][1].split("--target-jobs '")[1].split(":")[0]


def test_what_pods_make_is_on_the_volume(run: Run) -> None:
    assert list(run.jobs) == RULES
    assert read_json(run.project.path / ENCODER / "meta.json")["epochs"] == 2
    assert (run.project.path / "results/logs/pretrain/emoji/resnet-smoke/symmetric-20/s0.log").is_file()
    assert any((run.project.path / "results/noise/emoji/symmetric-20/overlay").iterdir())


def test_cells_are_kept_on_the_volume(run: Run) -> None:
    """That of a method of one's own too, whose file is in a folder that no other project has."""
    kept = Path("results/kept", Path(CELL).relative_to("results"))
    assert read_json(run.project.path / CELL.replace(".parquet", ".meta.json"))["method"] == "experiments/own.py"
    assert (run.project.path / kept).read_bytes() == (run.project.path / CELL).read_bytes()


def test_a_training_asks_for_its_gpus_and_tolerates_their_nodes(run: Run) -> None:
    resources = container_of(run.jobs["pretrain"])["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "1"
    assert resources["limits"]["memory"] == "4364M"
    (toleration,) = run.jobs["pretrain"]["spec"]["template"]["spec"]["tolerations"]
    assert (toleration["key"], toleration["effect"]) == ("nvidia.com/gpu", "NoSchedule")


@pytest.mark.parametrize("rule", ["index_corpus", "inject_noise"])
def test_other_jobs_ask_for_no_gpu(run: Run, rule: str) -> None:
    assert "nvidia.com/gpu" not in container_of(run.jobs[rule])["resources"]["limits"]
    assert "tolerations" not in run.jobs[rule]["spec"]["template"]["spec"]


@pytest.mark.parametrize("rule", RULES)
def test_pods_have_the_image_the_account_and_the_volume_of_the_manifests(run: Run, rule: str) -> None:
    manifests = list(yaml.safe_load_all((ROOT / "profiles/kubernetes/volume.yaml").read_text()))
    named = {manifest["kind"]: manifest["metadata"]["name"] for manifest in manifests}
    pod = run.jobs[rule]["spec"]["template"]["spec"]
    container = container_of(run.jobs[rule])
    assert container["image"] == PROFILE["container-image"]
    assert pod["serviceAccountName"] == named["ServiceAccount"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "emptyDir" not in volume]
    assert claims == [named["PersistentVolumeClaim"]]
    assert {"name": claims[0], "mountPath": PROFILE["default-storage-prefix"]} in container["volumeMounts"]


def test_the_pod_of_snakemake_itself_has_the_same(run: Run) -> None:
    pod = yaml.safe_load((ROOT / "profiles/kubernetes/run.yaml").read_text())["spec"]["template"]["spec"]
    job = run.jobs["pretrain"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == job["serviceAccountName"]
    assert [volume["persistentVolumeClaim"] for volume in pod["volumes"]] == [
        volume["persistentVolumeClaim"] for volume in job["volumes"] if "emptyDir" not in volume
    ]
    (container,) = pod["containers"]
    assert container["image"] == container_of(run.jobs["pretrain"])["image"]


def test_jobs_leave_their_locks_and_costs_on_the_volume(run: Run) -> None:
    locks = {path.name.split("+")[2] for path in (run.project.path / ".snakemake/nml-locks").iterdir()}
    assert locks == set(RULES)
    logs = run.project.path / "results/logs"
    assert {path.relative_to(logs).parts[0] for path in logs.rglob("*.cost.jsonl")} == locks


def test_what_snakemake_keeps_outlives_its_pod(tmp_path: Path) -> None:
    """The command of its pod, twice, with a stand-in that adds a line to a record of each kind."""
    (container,) = yaml.safe_load((ROOT / "profiles/kubernetes/run.yaml").read_text())["spec"]["template"]["spec"][
        "containers"
    ]
    command = [*container["command"], *(words.replace("/volume", f"{tmp_path}/volume") for words in container["args"])]
    (tmp_path / "snakemake").write_text(
        "#!/bin/sh\nfor kept in .snakemake results; do echo run >> $kept/record; done\n"
    )
    (tmp_path / "snakemake").chmod(0o755)
    for name in ("first", "second"):
        (tmp_path / name / "data/task").mkdir(parents=True)
        environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(command, cwd=tmp_path / name, env=environment, check=True)
    for kept in (".snakemake", "results"):
        assert (tmp_path / "volume" / kept / "record").read_text() == "run\nrun\n"
    assert (tmp_path / "second/data/task").is_dir()
