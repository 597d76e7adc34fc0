"""The files under docker/, as far as they can be looked at where no container engine is.

What a build and a run would find out is said in docs/docker.md, with what was run.
"""

from __future__ import annotations

import fnmatch
import inspect
import json
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from simattack import cli

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
HEALTHCHECK = DOCKER / "healthcheck.py"


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of the Dockerfile's instructions, continued lines joined."""
    lines = [
        line
        for line in (DOCKER / "Dockerfile").read_text().splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [
        (word, rest.strip()) for word, _, rest in (x.partition(" ") for x in joined.split("\n"))
    ]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Each stage's instructions with those of the stages that it is made FROM, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            parent, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            found[name] = list(found.get(parent, []))
        if name:
            found[name].append((word, rest))
    return found


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    loaded = yaml.safe_load((DOCKER / name).read_text())
    assert isinstance(loaded, dict)
    return loaded


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path, or its folder, out of the context; last match wins."""
    is_out = False
    parts = path.split("/")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        bare = pattern.lstrip("!").removeprefix("**/")
        heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        names = parts if pattern.startswith("**/") else heads
        if any(fnmatch.fnmatchcase(name, bare) for name in names):
            is_out = not pattern.startswith("!")
    return is_out


@pytest.mark.parametrize("target", ["server", "cpu", "gpu", "tests"])
def test_an_image_runs_as_nobody_special(target):
    users = [rest for word, rest in stages()[target] if word == "USER"]
    assert users == ["1000:1000"]


def test_what_is_copied_exists_and_is_in_the_context():
    copied = [shlex.split(rest) for word, rest in instructions() if word == "COPY"]
    sources = [
        source
        for words in copied
        if not words[0].startswith("--from=")
        for source in words[:-1]
        if source != "."
    ]
    assert {"docker/healthcheck.py", "docker/server.txt", "tests"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), source
    froms = {words[0].removeprefix("--from=") for words in copied if words[0].startswith("--")}
    assert froms and froms <= set(stages())


def test_the_context_holds_what_the_wheel_is_made_of_and_nothing_that_runs_left():
    for path in (
        *("pyproject.toml", "README.md", "LICENSE", "simattack/server/render/shaders/light.glsl"),
        *("scenarios/maps/town.xodr", "patches/stop_sign.png", "tests/real_carla/conftest.py"),
    ):
        assert (ROOT / path).exists() and not is_ignored(path), path
    for path in (
        *(".git/config", ".venv/bin/python", "runs/demo/x", "data/x", "results/demo/manifest.json"),
        *("simattack/__pycache__/cli.cpython-311.pyc", "patches/demo.run/events", "docs/limits.md"),
    ):
        assert is_ignored(path), path


def apt_packages(target: str) -> set[str]:
    runs = [rest for word, rest in stages()[target] if word == "RUN"]
    found = [re.findall(r"--no-install-recommends (.*?)(?:&&|$)", text) for text in runs]
    return {package for texts in found for text in texts for package in text.split()}


def test_the_system_packages_are_those_that_setup_installs():
    setup = (ROOT / ".ci/setup").read_text()
    wanted = set(re.search(r'^packages="([^"]+)"', setup, re.M)[1].split())  # type: ignore[index]
    for target in ("cpu", "gpu", "tests"):
        assert apt_packages(target) == wanted | {"python3"}, target
    assert apt_packages("server") == {"python3", "libegl1", "libopengl0", "libgl1-mesa-dri"}


def requirements() -> set[str]:
    lines = (DOCKER / "server.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_the_servers_requirements_are_among_the_packages_with_the_same_bounds():
    listed = (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2]
    known = set(re.findall(r'^ {4}"([^"]+)",$', listed.partition("]")[0], re.M))
    assert requirements() and requirements() <= known


@pytest.mark.journey
def test_the_server_loads_nothing_that_its_image_lacks():
    code = """
import importlib, importlib.metadata, pkgutil, sys, tyro
import simattack.cli, simattack.resources, simattack.server
for module in pkgutil.walk_packages(simattack.server.__path__, "simattack.server."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
owners = importlib.metadata.packages_distributions()
print(*{name.lower() for top in {n.partition(".")[0] for n in sys.modules}
        for name in owners.get(top, ())})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    heavy = {"torch", "torchvision", "ultralytics", "onnx", "onnxruntime", "matplotlib", "imageio"}
    named = {re.split(r"[=><]", line)[0] for line in requirements()}
    packages = set(done.stdout.split())
    listed = (ROOT / "pyproject.toml").read_text()
    ours = {
        name for name in packages if re.search(rf'^ {{4}}"{re.escape(name)}[=><]', listed, re.M)
    }
    assert {"carla", "moderngl", "pymunk"} <= ours
    assert not ours & heavy
    # Registered with where it is installed; the server does without (simattack/__init__.py).
    assert ours - {"gymnasium"} <= named


def test_flags_in_the_images_and_services_are_flags_of_the_commands():
    (entry,) = [json.loads(rest) for word, rest in stages()["server"] if word == "ENTRYPOINT"]
    assert entry[:4] == ["simattack", "serve", "--host", "0.0.0.0"]
    for command in (entry[1:], compose()["services"]["simattack"]["command"]):
        taken = inspect.signature(cli.COMMANDS[command[0]]).parameters
        flags = [word for word in command if word.startswith("--")]
        assert flags and {flag[2:].replace("-", "_") for flag in flags} <= set(taken)
    tests = [service for name, service in compose()["services"].items() if "tests" in name]
    assert [service["command"][0] for service in tests] == ["--carla", "--carla"]


def test_services_are_built_from_stages_that_exist_and_wait_for_a_healthy_server():
    services = compose()["services"]
    assert services["carla"]["image"] == "carlasim/carla:0.9.16"
    assert services["carla"]["command"] == ["./CarlaUE4.sh", "-RenderOffScreen", "-nosound"]
    for name, service in services.items():
        if "build" in service:
            assert service["build"]["target"] in stages(), name
            assert (DOCKER / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert set(services[other]["profiles"]) & set(service["profiles"])
            assert "healthcheck" in services[other] or other == "server"
            assert f"{other}:2000" in service["command"] or other in service["command"]
    assert any(word == "HEALTHCHECK" for word, _ in stages()["server"])
    gpu = compose("compose.gpu.yaml")["services"]
    assert set(gpu) <= set(services) and gpu["simattack"]["build"]["target"] in stages()


def test_nothing_is_published_and_the_network_reaches_nobody_else():
    loaded = compose()
    assert loaded["networks"] == {"simulation": {"internal": True}}
    for name, service in loaded["services"].items():
        assert service["networks"] == ["simulation"], name
        assert "ports" not in service and "network_mode" not in service, name
        assert "privileged" not in service, name


def test_the_gpu_is_asked_for_drawing_and_computing():
    words = " ".join(rest for word, rest in stages()["gpu"] if word == "ENV")
    assert "NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility" in words
    card = json.loads((DOCKER / "10_nvidia.json").read_text())
    assert card["ICD"] == {"library_path": "libEGL_nvidia.so.0"}
    torch = [rest for word, rest in stages()["build-gpu"] if word == "RUN" and "'torch>" in rest]
    assert len(torch) == 1 and "index" not in torch[0]
    torch = [rest for _, rest in stages()["build-simattack"] if "'torch>" in rest]
    assert len(torch) == 1 and '--index-url "$TORCH_INDEX"' in torch[0]


def healthcheck(port: int, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HEALTHCHECK), "--port", str(port), *flags],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_healthcheck_finds_a_server_well(server):
    done = healthcheck(server[1])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_healthcheck_finds_nobody_at_a_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert healthcheck(probe.getsockname()[1]).returncode == 1


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_the_healthcheck_finds_a_server_ill_that_takes_calls_and_never_answers(mute):
    done = healthcheck(mute, "--timeout-s", "0.2")
    assert done.returncode == 1 and "timed out" in done.stderr


def test_the_healthcheck_finds_somebody_else_at_the_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            wire, _ = listener.accept()
            with wire:
                wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                wire.recv(100)

        other = threading.Thread(target=speak)
        other.start()
        done = healthcheck(listener.getsockname()[1])
        other.join(10)
    assert done.returncode == 1 and "expected a CARLA server" in done.stderr


@pytest.mark.journey
def test_without_a_named_server_the_marked_tests_skip_with_one_reason():
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-m", "carla"),
            *("-p", "no:cacheprovider", "tests/real_carla"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    told = re.findall(r"^SKIPPED \[(\d+)\] (\S+?): (.+)$", done.stdout, re.M)
    assert {reason for _, _, reason in told} == {
        "no CARLA server was named: run `pytest -m carla --carla HOST:PORT tests/real_carla`"
    }
    assert re.search(rf"^{sum(int(count) for count, _, _ in told)} skipped in", done.stdout, re.M)
