"""The container: what its files say, and its commands as another user on a read-only root. No engine is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from release.places import ROOT
from ruamel.yaml import YAML

from door.test_entrance import certificate
from positions_mcp import __version__
from positions_mcp.cli import parser_of
from positions_mcp.cli.serving.entrance import Entrance
from positions_mcp.operating.drain import LONGEST_CALL_S
from positions_mcp.settings import load

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LAST_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]
COMPOSE: Any = YAML(typ="safe").load(ROOT / "compose.yaml")
SERVICES = COMPOSE["services"]
OURS = {name: said for name, said in SERVICES.items() if said["image"].startswith("positions-mcp:")}


def words_of(instruction: str) -> list[str]:
    """The words of an instruction of the image, which names a program and not a line for a shell."""
    (said,) = re.findall(rf"^{instruction}\b[^\[\n]*(\[.*\])$", LAST_STAGE, re.MULTILINE)
    words: list[str] = json.loads(said)
    return words


def variables() -> dict[str, str]:
    (said,) = re.findall(r"^ENV (.*)$", LAST_STAGE, re.MULTILINE)
    return dict(each.split("=", 1) for each in said.split())


def test_every_image_has_a_version_and_the_program_is_of_this_one() -> None:
    images = [*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), *(said["image"] for said in SERVICES.values())]
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []
    assert {said["image"] for said in OURS.values()} == {f"positions-mcp:{__version__}"}


def test_the_image_runs_as_nobody_special_and_keeps_its_data_in_a_volume() -> None:
    (user,) = re.findall(r"^USER (\S+)$", LAST_STAGE, re.MULTILINE)
    assert int(user) >= 10_000
    assert f"--uid {user}" in LAST_STAGE
    (volume,) = re.findall(r"^VOLUME (\S+)$", LAST_STAGE, re.MULTILINE)
    assert {variables()["HOME"], variables()["POSITIONS_MCP_DATA_DIR"]} == {volume}
    assert "COPY LICENSE" in LAST_STAGE


def test_what_the_image_is_built_from_is_there_and_not_left_out() -> None:
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    ]
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in sent] == []


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_read_only_root_and_no_capability(name: str) -> None:
    said = SERVICES[name]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert ("ports" in said) is (name == "balancer")
    for volume in said["volumes"]:
        place, _, rest = volume.rpartition(":/")
        assert place in COMPOSE["volumes"] or rest.endswith(":ro")
        assert not place.startswith(".") or (ROOT / place).exists()


@pytest.mark.parametrize("name", OURS)
def test_every_command_and_every_setting_of_a_service_is_one_of_the_program(name: str) -> None:
    command = OURS[name]["command"]
    assert parser_of(command[0]).parse_args(command).handler
    given = {"OAUTH_ISSUER": "https://login.example.com"}
    environment = {
        key: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: given.get(found[1], "a.b"), value)
        for key, value in OURS[name].get("environment", {}).items()
    }
    settings = load(environment=environment, config=ROOT / "packaging" / "compose" / "replica.toml")
    assert settings.mode == "paper"
    arguments = vars(parser_of(command[0]).parse_args(command))
    if "behind_proxy" in arguments:
        found = Entrance.of(arguments["host"], behind_proxy=arguments["behind_proxy"])
        found = found.for_approvers(settings) if command[0] == "desk" else found.for_callers(settings)
        assert str(found.proxies[0]) == COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"]


def test_a_replica_is_waited_for_longer_than_its_grace_and_its_longest_call() -> None:
    settings = load(config=ROOT / "packaging" / "compose" / "replica.toml", environment={})
    assert settings.http.grace_s + LONGEST_CALL_S < 120
    assert {SERVICES[name]["stop_grace_period"] for name in ("replica-1", "replica-2", "desk")} == {"2m"}


@pytest.mark.parametrize("haproxy", [found for found in [shutil.which("haproxy")] if found])
def test_the_balancers_configuration_is_one(haproxy: str, tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_bytes(b"".join(file.read_bytes() for file in certificate(tmp_path)))
    text = (ROOT / "packaging" / "compose" / "haproxy.cfg").read_text(encoding="utf-8")
    (tmp_path / "haproxy.cfg").write_text(text.replace("/certificates/", f"{tmp_path}/one.pem"), encoding="utf-8")
    checked = subprocess.run(
        [haproxy, "-c", "-f", str(tmp_path / "haproxy.cfg")],
        env={"DESK_NAME": "desk.example.com"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert {name for name in SERVICES if f" {name}:" in text} == {"replica-1", "replica-2", "desk"}


def test_a_service_is_healthy_once_it_is_ready_and_the_balancer_once_callers_find_one() -> None:
    asked = {name: said["healthcheck"]["test"][-1] for name, said in SERVICES.items() if "test" in said["healthcheck"]}
    assert set(asked) == set(SERVICES) - {"terminal"}
    for name, port in (("replica-1", 8420), ("replica-2", 8420), ("desk", 8421)):
        assert f"http://127.0.0.1:{port}/readyz" in asked[name]
    inside = (ROOT / "packaging" / "compose" / "haproxy.cfg").read_text(encoding="utf-8")
    inside = inside.partition("frontend inside\n")[2].partition("\nbackend")[0]
    address, path = re.findall(r"(?:bind|monitor-uri) (\S+)", inside)
    assert asked["balancer"] == f"http://{address}{path}"
    assert address.startswith("127.0.0.1:")
    assert set(re.findall(r"nbsrv\((\w+)\) lt 1", inside)) == {"replicas", "desk"}


def test_no_service_has_a_secret_written_down() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"(?:PASSWORD|KEY): (?!\$\{\w+:\?)", text) == []


@pytest.mark.parametrize("bubblewrap", [found for found in [shutil.which("bwrap")] if found])
async def test_the_commands_of_the_image_work_without_rights_on_a_read_only_root(
    bubblewrap: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    program = Path(sys.executable).parent
    inside = [bubblewrap, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
    inside += [word for place in {str(ROOT), sys.prefix, sys.base_prefix} for word in ("--ro-bind", place, place)]
    inside += ["--bind", str(data), "/mnt", "--chdir", "/mnt", "--unshare-user", "--uid", "10001", "--gid", "10001"]
    inside += ["--clearenv"]
    for variable, value in variables().items():
        here = value.replace("/program/bin", str(program)).replace("$PATH", "/usr/bin:/bin").replace("/data", "/mnt")
        inside += ["--setenv", variable, here]
    start, *rest = [*inside, *words_of("ENTRYPOINT"), *words_of("CMD")]
    async with Client(StdioServerParameters(command=start, args=rest)) as client:
        answer = await client.call_tool("list_positions", {})
    assert answer.structured_content, answer.content
    assert answer.structured_content["held"] == 25

    (health,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", LAST_STAGE, re.MULTILINE)
    checked = await anyio.run_process([*inside, *json.loads(health)], check=False)
    assert checked.returncode == 0, checked.stdout.decode()
    touched = await anyio.run_process([*inside, "touch", f"{program}/changed"], check=False)
    assert b"Read-only" in touched.stderr
