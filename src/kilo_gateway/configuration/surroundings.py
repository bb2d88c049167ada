"""What settings lead to outside of themselves: an address of this machine, files that have to be there.

Looked at before a start and by `config check`. A command that only asks something can do without them.
"""

from pathlib import Path

from kilo_gateway.configuration.fields import Found
from kilo_gateway.configuration.listener import obstacle
from kilo_gateway.core.settings import ConfigurationError, Settings
from kilo_gateway.http.tls import upstream_context

_GGUF_HEAD_BYTES = 24


def examine(found: Found, settings: Settings) -> None:
    """Raises ConfigurationError for the first that does not fit."""
    _examine_host(found, settings.server.host)
    if settings.ca_file is not None:
        _examine_certificates(settings.ca_file)
    if settings.local.enabled and not settings.local.is_demo_model:
        _examine_model(found, settings.local.path)


def _examine_host(found: Found, host: str) -> None:
    if reason := obstacle(host):
        remedy = "Write an address of this machine such as 127.0.0.1, or 0.0.0.0 for all of them"
        raise ConfigurationError(
            f"{found.source('server.host')}: server.host: {host!r} cannot be listened on ({reason}). {remedy}."
        )


def _examine_certificates(file: str) -> None:
    try:
        reason = "" if upstream_context(file).cert_store_stats()["x509"] else "there is no certificate in it"
    except OSError as error:  # of ssl too
        reason = error.strerror or str(error)
    if reason:
        raise ConfigurationError(f"SSL_CERT_FILE: {file} cannot be used ({reason}). Name a file of certificates (PEM).")


def _examine_model(found: Found, path: Path) -> None:
    try:
        with path.open("rb") as file:
            reason = _gguf_defect(file.read(_GGUF_HEAD_BYTES))
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if reason:
        raise ConfigurationError(
            f"{found.source('local.path')}: local.path: {path} {reason}. Name a GGUF file, or leave it out."
        )


def _gguf_defect(head: bytes) -> str:
    """What its first bytes say: "GGUF", a version, and how many tensors and facts follow. Only loading it says more."""
    if not head.startswith(b"GGUF"):
        return "is no GGUF file"
    version, tensors, facts = (int.from_bytes(head[start:end], "little") for start, end in ((4, 8), (8, 16), (16, 24)))
    is_plausible = len(head) == _GGUF_HEAD_BYTES and 2 <= version < 100 and tensors < 1 << 32 and facts < 1 << 32
    return "" if is_plausible else "is a damaged GGUF file"
