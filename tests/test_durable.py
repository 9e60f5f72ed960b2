"""A file that is replaced in one step."""

import os
from pathlib import Path

import pytest

from scraper import durable
from scraper.durable import replace_file, sync_folder


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    file = tmp_path / "run.json"
    for text in ("old", "new, and “longer”"):
        replace_file(file, text)
        assert file.read_text("utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_it_is_on_the_disk_before_it_takes_the_others_place_and_so_is_its_name_after(tmp_path, monkeypatch):
    done = []
    replace = Path.replace
    monkeypatch.setattr(os, "fsync", lambda _: done.append("fsync"))
    monkeypatch.setattr(Path, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    monkeypatch.setattr(durable, "sync_folder", lambda folder: done.append(folder))
    replace_file(tmp_path / "run.json", "text")
    assert done == ["fsync", "replace", tmp_path]


def test_what_fails_leaves_the_old_one(tmp_path, monkeypatch):
    file = tmp_path / "run.json"
    file.write_text("old")

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        replace_file(file, "new")
    assert file.read_text() == "old"


def test_a_folder_that_can_not_be_synced_is_no_error(tmp_path):
    sync_folder(tmp_path / "none")
