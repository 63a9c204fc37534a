"""The examples of the pages on sampling run as printed; a tiny model stands in for the shipped."""

import doctest

from tests.helpers.repository import ROOT
from tests.helpers.tiny_package import Letters, tiny_package
from vimogen_jax.package import save_package


def test_the_sampling_page(monkeypatch, tmp_path):
    package = tiny_package()
    save_package(tmp_path, package)
    monkeypatch.setattr("vimogen_jax.package.SHIPPED", {"small": tmp_path})
    monkeypatch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
    page = ROOT / "docs" / "sampling.md"
    failures, attempted = doctest.testfile(str(page), module_relative=False)
    assert (failures, attempted) == (0, 15)
