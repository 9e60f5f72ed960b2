"""deploy/: it fits the worker that it starts, and its files fit each other."""

import json
from pathlib import Path

import pytest

from scraper.settings import Settings
from scraper.units import duration
from scraper.worker.http.app import SHUTDOWN
from scraper.worker.leash import SPARE
from tests.deploy.command_line import options_of
from tests.deploy.files import (
    compose,
    container,
    dockerfile,
    manifests,
    pod,
    text,
    typed,
    unit,
    worker_service,
)

NEEDED = (
    SPARE + SHUTDOWN + 10
)  # seconds beyond the grace: for the last commit, the last request, and the disk
PORT = 8480
USER = 10001
FILES = sorted(typed())


@pytest.mark.parametrize("file", FILES)
def test_a_stop_takes_longer_than_the_grace(file):
    patience = {
        "Dockerfile": duration(worker_service()["stop_grace_period"]),  # an image can't say it
        "compose.yaml": duration(worker_service()["stop_grace_period"]),
        "kubernetes.yaml": float(pod()["terminationGracePeriodSeconds"]),
        "scrapeloom-worker.service": duration(unit()["TimeoutStopSec"]),
    }[file]
    told = typed()[file]
    grace = duration(told[told.index("--grace") + 1]) if "--grace" in told else Settings().grace
    assert patience >= grace + NEEDED


@pytest.mark.parametrize("file", FILES)
def test_the_worker_has_every_option_that_it_is_started_with(file):
    command, *options = typed()[file]
    assert command == "worker"
    assert {option for option in options if option.startswith("--")} <= options_of("worker").keys()


def test_the_unit_is_of_the_kind_that_the_worker_speaks():
    assert unit()["Type"] == "notify"
    assert unit()["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit()["KillMode"] == "mixed"
    assert duration(unit()["WatchdogSec"]) >= 10
    assert (unit()["Restart"], unit()["RestartPreventExitStatus"]) == ("on-failure", "2")


def test_the_image_stops_by_a_signal_that_reaches_the_worker():
    assert json.loads(dockerfile()["ENTRYPOINT"]) == ["tini", "--", "scrape"]
    assert dockerfile()["STOPSIGNAL"] == "SIGTERM"


def test_the_image_is_nobodys_in_particular():
    assert dockerfile()["USER"] == f"{USER}:{USER}"
    security = pod()["securityContext"]
    assert (security["runAsUser"], security["fsGroup"], security["runAsNonRoot"]) == (USER, USER, True)


def test_what_is_written_lies_on_volumes():
    written = set(json.loads(dockerfile()["VOLUME"]))
    assert written == {"/project/.scrape", "/project/data"}
    assert {volume.partition(":")[2] for volume in worker_service()["volumes"]} == written
    mounted = {one["mountPath"]: one for one in container()["volumeMounts"]}
    assert written | {"/tmp", "/run/secrets"} == mounted.keys()  # of the container
    assert worker_service()["read_only"] is container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert set(unit()["ReadWritePaths"].split()) == {"/srv/shop/.scrape", "/srv/shop/data"}


def test_the_token_is_where_the_worker_reads_it():
    told = typed()["Dockerfile"]
    place = Path(told[told.index("--token-file") + 1])
    assert str(place.parent) == "/run/secrets"
    assert worker_service()["secrets"] == [place.name]
    assert compose()["secrets"].keys() == {place.name}
    assert unit()["LoadCredential"].partition(":")[0] == place.name
    assert f"%d/{place.name}" in typed()["scrapeloom-worker.service"]


def test_no_secret_and_nothing_that_was_crawled_goes_into_the_image():
    ignored = text("Dockerfile.dockerignore").splitlines()
    assert {"token", "deploy/*", "**/.scrape", "**/.env", "data", "*.jsonl"} <= set(ignored)


def test_from_outside_only_this_machine_reaches_the_container():
    assert worker_service()["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert Settings().worker.listen == f"127.0.0.1:{PORT}"
    assert f"0.0.0.0:{PORT}" in typed()["Dockerfile"]


def test_there_is_one_worker_and_never_a_second_beside_it():
    assert manifests()["StatefulSet"]["spec"]["replicas"] == 1
    claims = manifests()["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert [claim["spec"]["accessModes"] for claim in claims] == [["ReadWriteOncePod"]]


def test_the_probes_ask_what_is_open():
    asked = {
        name: container()[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_the_image_has_the_framework_with_what_a_worker_needs():
    lines = [line for line in text("requirements.txt").splitlines() if not line.startswith("#")]
    assert lines == ["scrapeloom[worker]"]
