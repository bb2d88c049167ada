"""The installation's one secret, and what is derived from it. HKDF with SHA-256, https://www.rfc-editor.org/rfc/rfc5869"""

import hashlib
import hmac

SECRET_BYTES = 32


class Keyring:
    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"secret.key must have {SECRET_BYTES} bytes")
        self._secret = hmac.digest(b"kilo-gateway", secret, "sha256")

    @property
    def pepper(self) -> bytes:
        """For the HMAC of keys."""
        return self._derive(b"pepper")

    @property
    def hop(self) -> str:
        """Names this installation to itself in requests that come back."""
        return self._derive(b"hop").hex()[:16]

    @property
    def local_model_key(self) -> str:
        return self._derive(b"local model").hex()

    def _derive(self, purpose: bytes) -> bytes:
        return hmac.new(self._secret, purpose + b"\x01", hashlib.sha256).digest()
