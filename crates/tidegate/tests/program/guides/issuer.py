"""An issuer that hands out tokens a verifier has to refuse, and one that it has to accept.

Prints one line of JSON, {"issuer": ..., "tokens": {name: token}}, and serves until its input ends.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
JWK = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1", "alg": "ES256", "use": "sig"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        pages = {
            "/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": issuer + "/keys"},
            "/keys": {"keys": [JWK]},
            # One that claims to be another.
            "/other/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": issuer + "/keys"},
        }
        body = json.dumps(pages[self.path]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def encoded(value):
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")


def tokens(issuer):
    now = int(time.time())
    claims = {
        "iss": issuer, "aud": issuer, "sub": "s", "org": "o", "role": "owner", "scope": "full", "iat": now, "exp": now + 600,
    }

    def signed(key=KEY, kid="k1", typ="at+jwt", **changed):
        body = {name: value for name, value in (claims | changed).items() if value is not None}
        return jwt.encode(body, key, algorithm="ES256", headers={"kid": kid, "typ": typ})

    def by_hand(header, sign):
        message = encoded(header) + b"." + encoded(claims)
        return (message + b"." + encoded(sign(message))).decode()

    return {
        "good": signed(),
        "expired": signed(exp=now - 60),
        "without expiry": signed(exp=None),
        "of another issuer": signed(iss="https://other.example"),
        "for another audience": signed(aud="https://other.example"),
        "without audience": signed(aud=None),
        "without subject": signed(sub=None),
        "of another type": signed(typ="JWT"),
        "signed by another key": signed(key=OTHER),
        "with an unknown key": signed(key=OTHER, kid="k2"),
        "without signature": by_hand({"alg": "none", "typ": "at+jwt", "kid": "k1"}, lambda _: b""),
        "signed with the public key": by_hand(
            {"alg": "HS256", "typ": "at+jwt", "kid": "k1"},
            lambda message: hmac.new(PUBLIC, message, hashlib.sha256).digest(),
        ),
        "limited to a scope": signed(scope="read openid"),
        "limited to nothing": signed(scope=""),
        "without scope": signed(scope=None),
        "of an unknown scope": signed(scope="fullest"),
        "bound to a database": signed(db="d"),
        "bound to an end user": signed(db="d", fuid=0, role="frontend"),
        "bound to a session": signed(db="d", fsid="f"),
        "of a frontend": signed(role="frontend"),
        "of an unknown role": signed(role="emperor"),
        "without role": signed(role=None),
        "bound to a key": signed(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        "cut off": signed()[:-8],
        "empty": "x",
    }


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
issuer = f"http://127.0.0.1:{server.server_port}"
print(json.dumps({"issuer": issuer, "tokens": tokens(issuer)}), flush=True)
sys.stdin.read()
