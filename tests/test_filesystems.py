"""Where a path lies: on a disk of this machine, or on another's."""

from pathlib import Path

import pytest

from scraper import filesystems
from scraper.filesystems import network_filesystem

# as proc_pid_mountinfo(5) has it: the fields before the dash vary in number
ROOT = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"
NFS = "40 22 0:41 /export /mnt/share rw,relatime shared:9 master:2 - nfs4 server:/export rw,vers=4.2"
LOCAL_AGAIN = "41 40 0:42 / /mnt/share/scratch rw - tmpfs tmpfs rw"


def mounted(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_a_path_lies_on_what_is_mounted_nearest_above_it():
    mounts = mounted(ROOT, NFS, LOCAL_AGAIN)
    assert network_filesystem(Path("/mnt/share/shop/.scrape"), mounts) == "nfs4 at /mnt/share"
    assert network_filesystem(Path("/mnt/share"), mounts) == "nfs4 at /mnt/share"
    assert network_filesystem(Path("/mnt/share/scratch/shop"), mounts) is None
    assert network_filesystem(Path("/mnt/shared"), mounts) is None
    assert network_filesystem(Path("/home/ann/shop"), mounts) is None


def test_what_was_mounted_last_hides_what_was_there_before():
    over = "50 22 0:50 / /mnt/share rw - ext4 /dev/vdb rw"
    assert network_filesystem(Path("/mnt/share/shop"), mounted(ROOT, NFS, over)) is None
    assert network_filesystem(Path("/mnt/share/shop"), mounted(ROOT, over, NFS)) == "nfs4 at /mnt/share"


def test_a_name_with_a_space_is_read_as_it_is():
    line = r"40 22 0:41 / /mnt/my\040share rw - cifs //server/share rw"
    assert network_filesystem(Path("/mnt/my share/shop"), mounted(ROOT, line)) == "cifs at /mnt/my share"


def test_a_link_is_followed(tmp_path):
    share, link = tmp_path / "share", tmp_path / "link"
    share.mkdir()
    link.symlink_to(share)
    mounts = mounted(ROOT, f"40 22 0:41 / {share} rw - nfs server:/ rw")
    assert network_filesystem(link / "runs", mounts) == f"nfs at {share}"


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.glusterfs",
    ],
)
def test_these_are_another_machines(kind):
    line = f"40 22 0:41 / /mnt rw - {kind} somewhere rw"
    assert network_filesystem(Path("/mnt/shop"), mounted(ROOT, line)) == f"{kind} at /mnt"


@pytest.mark.parametrize(
    "kind",
    ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "9p", "virtiofs", "fuse", "fuse.grpcfuse", "fuseblk"],
)
def test_these_are_this_machines(kind):
    line = f"40 22 0:41 / /mnt rw - {kind} somewhere rw"
    assert network_filesystem(Path("/mnt/shop"), mounted(ROOT, line)) is None


def test_this_machines_own_mounts_can_be_read(tmp_path):
    assert network_filesystem(tmp_path) is None


def test_where_nobody_says_what_is_mounted_a_disk_counts_as_local(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystems, "MOUNTS", tmp_path / "none")
    assert network_filesystem(tmp_path) is None
