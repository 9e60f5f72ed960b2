"""`scrape bench clients`: what each client costs on this machine, and on no other."""

import json

import pytest


def test_every_client_that_is_asked_for_is_measured(typed):
    said = typed(
        "bench", "clients", "--client", "aiohttp", "--in-flight", "1,4", "--requests", "40", "--json"
    )
    assert said.returncode == 0, said.stderr
    measured = json.loads(said.stdout)
    assert [(one["client"], one["in_flight"], one["failed"]) for one in measured] == [
        ("aiohttp", 1, 0),
        ("aiohttp", 4, 0),
    ]
    assert all(one["per_second"] > 10 and one["cpu"] > 1 and 10 < one["peak"] < 1_000 for one in measured)


def test_the_table_tells_the_share_of_the_fastest(typed):
    said = typed("bench", "clients", "--client", "aiohttp", "--in-flight", "2", "--requests", "20")
    head, row = said.stdout.splitlines()
    assert head.split("  ")[0].strip() == "in flight"
    assert "aiohttp" in row
    assert "100%" in row


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["https://shop.example/"], "not on this machine"),
        (["http://127.0.0.1.evil.example/"], "not on this machine"),
        (["--client", "telnet"], "There is no client 'telnet'"),
        (["--in-flight", "many"], "--in-flight takes numbers"),
        (["--in-flight", "0"], "--in-flight takes numbers"),
        (["--plot", "figure.doc"], "ends in .svg or .png"),
    ],
)
def test_what_can_not_be_measured_is_refused_before_anything_is(typed, arguments, sentence):
    said = typed("bench", "clients", *arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert sentence in said.stderr.replace("\n", " ")


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from scraper.bench.drive import Figures
    from scraper.bench.picture import draw

    figures = [Figures(client, n, 10.0 * n, 1.0, 1.0, 0) for client in ("a", "b") for n in (50, 1000)]
    for name, begins in (("x.svg", b"<?xml"), ("x.png", b"\x89PNG")):
        draw(figures, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)
