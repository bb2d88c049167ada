"""A signed assertion of who one is (RFC 7523). Loads the cryptography package: import it where that is meant."""

import base64

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_encode = msgspec.json.Encoder().encode


def signed(claims: dict[str, object], private_key: str, key_id: str) -> str:
    """RS256. Raises ValueError for what is no RSA key in PEM."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("it is encrypted, or of a kind that is not known") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("it is no RSA key")
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
    said = f"{_base64(_encode(header))}.{_base64(_encode(claims))}"
    return f"{said}.{_base64(key.sign(said.encode(), PKCS1v15(), SHA256()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
