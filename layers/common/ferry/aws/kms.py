"""The signing keys in AWS KMS: private halves never leave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.algorithms import ECAlgorithm

from ferry.aws.errors import map_errors

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_COORDINATE_BYTES = 32


class KmsSigner:
    """`ferry.ports.Signer` over KMS keys of spec ECC_NIST_P256; a `key_ref` is a key's id or ARN.

    Every method is one call and raises `BackendUnavailable` when KMS fails.
    """

    def __init__(self, client: KMSClient) -> None:
        self._client = client

    def public_jwk(self, key_ref: str) -> Mapping[str, str]:
        """The public half: `kty`, `crv`, `x`, `y` (RFC 7518 section 6.2).

        Raises:
            ValueError: the key is not on the curve P-256.
        """
        with map_errors():
            answer = self._client.get_public_key(KeyId=key_ref)
        key = load_der_public_key(answer["PublicKey"])
        if not (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
            raise ValueError("ES256 needs a signing key on the curve P-256")  # noqa: TRY004 - a wrong key, not a wrong type
        return {name: str(value) for name, value in ECAlgorithm.to_jwk(key, as_dict=True).items()}

    def sign(self, key_ref: str, message: bytes) -> bytes:
        """Sign at most 4,096 bytes (KMS's limit for a message it hashes itself; a token's claims are far below it)."""
        with map_errors():
            answer = self._client.sign(
                KeyId=key_ref, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )
        # KMS answers ASN.1 DER; a JWS has both integers as they are, big-endian, 32 bytes each (RFC 7518 section 3.4).
        r, s = decode_dss_signature(answer["Signature"])
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
