"""A certificate authority and a certificate for loopback, made with openssl for one run."""

import subprocess
from pathlib import Path

from tools import executable

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make(directory: Path) -> Path:
    """Writes ca.pem, tls.pem and tls.key into `directory`; gives the path of ca.pem."""
    directory.mkdir(parents=True)
    _openssl(directory, "req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench CA")
    _openssl(directory, "req", *CURVE, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=localhost")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl(directory, "x509", "-req", "-in", "tls.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "tls.pem", "-days", "2", "-extfile", "names")  # fmt: skip
    return directory / "ca.pem"


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run([executable("openssl"), *arguments], cwd=directory, check=True, capture_output=True, timeout=30)
