"""deploy/ as its readers see it: Docker, Compose, systemd, Kubernetes."""

import json
import re
import shlex
from typing import Any

import yaml

from tests.deploy.page import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


def text(file: str) -> str:
    return (DEPLOY / file).read_text("utf-8")


def dockerfile() -> dict[str, str]:
    """The last stage: instruction → its words; of several the last."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text("Dockerfile"), flags=re.MULTILINE)).splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines if line}


def unit() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", text("scrapeloom-worker.service"), re.MULTILINE))


def compose() -> dict[str, Any]:
    return yaml.safe_load(text("compose.yaml"))


def worker_service() -> dict[str, Any]:
    return compose()["services"]["worker"]


def manifests() -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in yaml.safe_load_all(text("kubernetes.yaml"))}


def pod() -> dict[str, Any]:
    return manifests()["StatefulSet"]["spec"]["template"]["spec"]


def container() -> dict[str, Any]:
    return pod()["containers"][0]


def typed() -> dict[str, list[str]]:
    """What each file has the worker started with."""
    image = json.loads(dockerfile()["CMD"])
    return {
        "Dockerfile": image,
        "compose.yaml": worker_service().get("command", image),
        "kubernetes.yaml": container().get("args", image),
        "scrapeloom-worker.service": shlex.split(unit()["ExecStart"])[1:],
    }
