from __future__ import annotations

import os

import pytest

from lfr_edge.vision.threads import available_cpus


def tree(root, cgroup: str, **files: str):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for path, text in files.items():
        file = root / "sys/fs/cgroup" / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n"}, 2),
        (
            "0::/a/b\n",
            {"a/cpu.max": "350000 100000\n", "a/b/cpu.max": "max 100000\n"},
            3,
        ),  # the parent's quota
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n"}, 1),  # half a processor is still one thread
        (
            "0::/not/visible/inside\n",
            {"cpu.max": "400000 100000\n"},
            4,
        ),  # a container's own group is the mount
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("4:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "600000\n"}, 64),  # no period: not believed
        (
            "4:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "600000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            6,
        ),
        ("4:cpu:/\n1:memory:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("0::/\n", {"cpu.max": "rubbish\n"}, 64),
    ],
)
def test_quota(tmp_path, many, cgroup, files, expected):
    assert available_cpus(tree(tmp_path, cgroup, **files)) == expected


def test_affinity_counts_where_it_is_less_than_the_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    root = tree(tmp_path, "0::/\n", **{"cpu.max": "800000 100000\n"})
    assert available_cpus(root) == 2


def test_no_control_groups_at_all(tmp_path, many):
    assert available_cpus(tmp_path) == 64


def test_this_machine():
    assert 1 <= available_cpus() <= len(os.sched_getaffinity(0))
