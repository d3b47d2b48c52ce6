"""The Dockerfile, read: no image is built here."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SECRET = re.compile(r"token|secret|passw|credential|api_?key|://[^/]*@", re.I)


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line[:1] not in ("#", "")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def copied() -> list[str]:
    """What the image takes from the project."""
    return [
        name
        for instruction, rest in instructions()
        if instruction == "COPY" and "--from" not in rest
        for name in rest.split()[:-1]
    ]


def names(lock: str) -> dict[str, str]:
    text = (ROOT / "locks" / lock).read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.M))


def test_everything_is_installed_from_locks_with_their_hashes() -> None:
    found = [rest for each, rest in instructions() if each == "RUN"]
    installs = re.findall(r"uv pip install ([^&]+)", " && ".join(found))
    locked, own = installs
    assert "--require-hashes" in locked
    assert "-r locks/python310.txt" in locked
    assert "--no-deps" in own
    script = (ROOT / "locks" / "install.sh").read_text()
    (version,) = re.findall(r"uv_version=(\S+)", script)
    assert f"uv=={version}" in " ".join(found)


def test_the_shell_of_every_step_of_the_build_is_valid() -> None:
    for instruction, rest in instructions():
        if instruction == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)


@pytest.mark.parametrize(
    ("device", "wanted"),
    [("cpu", ""), ("gpu", "-r locks/gpu.txt"), ("tpu", None)],
)
def test_the_device_decides_the_locks(device: str, wanted: str | None) -> None:
    (choice,) = [
        re.match(r"case .*? esac", rest)
        for each, rest in instructions()
        if each == "RUN" and rest.startswith("case")
    ]
    assert choice
    done = subprocess.run(
        ["sh", "-c", f'{choice[0]}; echo "$cuda"'],
        env={"DEVICE": device},
        capture_output=True,
        text=True,
    )
    if wanted is None:
        assert (done.returncode, "cpu or gpu" in done.stderr) == (1, True)
    else:
        assert (done.returncode, done.stdout.strip()) == (0, wanted)


def test_the_image_holds_nothing_that_only_tests_need() -> None:
    """A web server, a notebook's server, JavaScript: all could be reached."""
    own, tests = names("python310.txt"), names("python310.dev.txt")
    assert own.items() < tests.items()
    apart = {"flask", "moto", "mypy", "pytest", "ruff", "hypothesis"}
    assert apart <= {*tests} - {*own}
    for name in ("js2py", "jupyterlab", "jupyter-server", "notebook"):
        assert name not in tests


def test_cuda_is_locked_for_the_same_tensorflow() -> None:
    base, cuda = names("python310.txt"), names("gpu.txt")
    nvidia = {name for name in cuda if name.startswith("nvidia-")}
    assert {"nvidia-cudnn-cu12", "nvidia-cuda-runtime-cu12"} <= nvidia
    shared = {*cuda} - nvidia
    assert "tensorflow" in shared
    assert {name: cuda[name] for name in shared} == {
        name: base[name] for name in shared
    }


def test_steps_do_not_run_as_root_and_the_image_holds_no_secret() -> None:
    users = [rest for each, rest in instructions() if each == "USER"]
    assert users
    assert all(user.isdigit() and int(user) > 0 for user in users)
    last = [each for each, _ in instructions()]
    assert last.index("USER") > last.index("COPY", last.index("FROM", 1))
    for instruction, rest in instructions():
        if instruction in ("ENV", "ARG"):
            for assignment in shlex.split(rest):
                assert not SECRET.search(assignment), assignment


def test_workers_start_with_the_beam_that_is_locked() -> None:
    froms = [rest for each, rest in instructions() if each == "FROM"]
    assert froms[-2:] == ["steps AS worker", "steps"]
    (source,) = [
        rest
        for each, rest in instructions()
        if each == "COPY" and "apache/beam" in rest
    ]
    version = names("python310.txt")["apache-beam"]
    assert f"apache/beam_python3.10_sdk:{version} " in source


def test_nothing_but_the_sources_reaches_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert allowed == {*copied()}


def test_what_is_copied_installs_every_module_and_template(
    tmp_path: Path,
) -> None:
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", f"--wheel-dir={tmp_path}", "."),
        ],
        cwd=tmp_path,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    installed = {*zipfile.ZipFile(wheel).namelist()}
    wanted = {
        str(path.relative_to(tmp_path))
        for package in ("wseg_tf", "pipeline")
        for pattern in ("*.py", "*.j2", "py.typed")
        for path in (tmp_path / package).rglob(pattern)
    }
    assert len(wanted) > 100
    assert wanted <= installed
