"""A service account of a test, and what its token endpoint checks."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = _KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
ROBOT = "robot@lab.iam.gserviceaccount.com"


def account(**more: str) -> str:
    told = {
        "type": "service_account", "project_id": "lab", "private_key_id": "k1", "private_key": PEM, "client_email": ROBOT,
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    return json.dumps(told | more, indent=1)


def claims_of(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims. Raises InvalidSignature."""
    said, _, signature = assertion.rpartition(".")
    _KEY.public_key().verify(_bytes(signature), said.encode(), padding.PKCS1v15(), SHA256())
    header, claims = (json.loads(_bytes(part)) for part in said.split("."))
    return header, claims


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
