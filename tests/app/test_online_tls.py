"""An online store behind TLS, as ElastiCache's is: filled by Feast, read by the server."""

from pathlib import Path

import pandas as pd
import pytest
from online_harness import DATASET, materialise, rejected, rows, serving


def test_a_store_behind_tls_is_filled_and_read(
    loans: pd.DataFrame, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with serving(tmp_path, tls=True) as server:
        assert materialise(server, loans)["online"] == len(loans)
        assert len(rows(server.connection, loans[DATASET.key].tolist())) == len(loans)


def test_a_store_of_an_unknown_authority_is_asked_nothing(
    loans: pd.DataFrame, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with serving(tmp_path, tls=True) as server:
        materialise(server, loans)
        monkeypatch.delenv("SSL_CERT_FILE")
        assert rejected(server.connection, loans[DATASET.key].head(1).tolist()).status == 503
