"""A browser with an authenticator made of other people's code: soft-webauthn, on fido2.

Answers a line of JSON for each line of JSON: {"do": "create" or "get", "options", "origin", "verified"}. As published, soft-webauthn
never says that the person was verified; with "verified" it does.
"""

import json
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.utils import sha256
from soft_webauthn import SoftWebauthnDevice

USER_VERIFIED = 0x04


def decoded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(value):
    """The credential as PublicKeyCredential.toJSON() writes it."""
    if isinstance(value, dict):
        return {key: encoded(member) for key, member in value.items()}
    if isinstance(value, bytes):
        return urlsafe_b64encode(value).decode("ascii").rstrip("=")
    return value


def verified(data):
    return data[:32] + bytes([data[32] | USER_VERIFIED]) + data[33:]


def create(device, options, origin, is_verified):
    options["challenge"] = decoded(options["challenge"])
    options["user"]["id"] = decoded(options["user"]["id"])
    credential = device.create({"publicKey": options}, origin)
    if is_verified:
        attestation = cbor.decode(credential["response"]["attestationObject"])
        attestation["authData"] = verified(attestation["authData"])
        credential["response"]["attestationObject"] = cbor.encode(attestation)
    return credential


def get(device, options, origin, is_verified):
    options["challenge"] = decoded(options["challenge"])
    credential = device.get({"publicKey": options}, origin)
    if is_verified:
        response = credential["response"]
        response["authenticatorData"] = verified(response["authenticatorData"])
        signed = response["authenticatorData"] + sha256(response["clientDataJSON"])
        response["signature"] = device.private_key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return credential


def main():
    device = SoftWebauthnDevice()
    for line in sys.stdin:
        asked = json.loads(line)
        do = {"create": create, "get": get}[asked["do"]]
        credential = do(device, asked["options"], asked["origin"], asked["verified"])
        # Its id is text in base64 already, in bytes.
        credential["id"] = credential["rawId"]
        print(json.dumps(encoded(credential)), flush=True)


main()
