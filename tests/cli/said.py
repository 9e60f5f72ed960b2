"""What a command said and wrote, taken apart."""

import json
from typing import Any


def records(text: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def ended(said) -> dict[str, Any]:
    """What the log's last line says of the crawl; with `--log json`."""
    event: dict[str, Any] = json.loads(said.stderr.splitlines()[-1])
    assert event["event"] == "crawl ended", said.stderr
    return event


def refused(said) -> str:
    """What a person must put right: one sentence on standard error, exit code 2, never a traceback."""
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("scrape: ")
    assert "Traceback" not in said.stderr
    return said.stderr.removeprefix("scrape: ").strip()


def listed(typed, *words: str) -> Any:
    """What a command says with --json."""
    said = typed(*words, "--json")
    assert (said.returncode, said.stderr) == (0, "")
    return json.loads(said.stdout)
