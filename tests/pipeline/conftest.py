import pytest


@pytest.fixture(autouse=True)
def _no_device_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAIN_DEVICE", raising=False)
