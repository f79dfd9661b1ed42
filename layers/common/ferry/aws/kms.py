"""`Signer` over AWS KMS."""

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
    """`Signer` over KMS keys of spec ECC_NIST_P256. A `key_ref` is the id or ARN of a key.

    Each method makes one call and raises `BackendUnavailable` if KMS fails.
    """

    def __init__(self, client: KMSClient) -> None:
        self._client = client

    def public_jwk(self, key_ref: str) -> Mapping[str, str]:
        """Return the public key: `kty`, `crv`, `x`, `y` (RFC 7518 section 6.2).

        Raises:
            ValueError: the key is not on the curve P-256.
        """
        with map_errors():
            response = self._client.get_public_key(KeyId=key_ref)
        key = load_der_public_key(response["PublicKey"])
        if not (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
            raise ValueError(f"ES256 requires a key of spec ECC_NIST_P256; {key_ref} is another")  # noqa: TRY004 - not a type error
        return {name: str(value) for name, value in ECAlgorithm.to_jwk(key, as_dict=True).items()}

    def sign(self, key_ref: str, message: bytes) -> bytes:
        """Return the signature of at most 4,096 bytes, KMS's limit for messages that it hashes."""
        with map_errors():
            response = self._client.sign(
                KeyId=key_ref, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )
        # KMS returns ASN.1 DER. A JWS has both integers big-endian, 32 bytes each (RFC 7518 section 3.4).
        r, s = decode_dss_signature(response["Signature"])
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
