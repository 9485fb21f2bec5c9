"""Authlib proves who it is by signing; the first argument is JSON, as settings.mjs has it."""

import json
import sys
from urllib.parse import parse_qsl

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oidc.core import CodeIDToken

settings = json.loads(sys.argv[1])
issuer, person = settings["issuer"], settings["person"]
discovered = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=30).json()
endpoint = discovered["token_endpoint"]


def register(**metadata):
    described = {"redirect_uris": [settings["redirectUri"]], "scope": "openid email", **metadata}
    answer = requests.post(discovered["registration_endpoint"], json=described, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()


key = JsonWebKey.generate_key("EC", "P-256", {"kid": "authlib", "use": "sig"}, is_private=True)
rsa = JsonWebKey.generate_key("RSA", 2048, {"kid": "authlib-rsa", "use": "sig"}, is_private=True)
signed = {"token_endpoint_auth_method": "private_key_jwt"}
for client, secret, method in [
    (
        register(**signed, jwks={"keys": [key.as_dict()]}, token_endpoint_auth_signing_alg="ES256"),
        key,
        PrivateKeyJWT(endpoint, headers={"kid": "authlib"}, alg="ES256"),
    ),
    (
        register(**signed, jwks={"keys": [rsa.as_dict()]}),
        rsa,
        PrivateKeyJWT(endpoint, headers={"kid": "authlib-rsa"}, alg="RS256"),
    ),
    (client := register(token_endpoint_auth_method="client_secret_jwt"), client["client_secret"], ClientSecretJWT(endpoint)),
]:
    with OAuth2Session(
        client["client_id"],
        secret,
        scope="openid email",
        redirect_uri=settings["redirectUri"],
        token_endpoint_auth_method=method,
        code_challenge_method="S256",
    ) as app:
        verifier = "v" * 64
        url, state = app.create_authorization_url(
            discovered["authorization_endpoint"], code_verifier=verifier, nonce="n"
        )
        address, query = url.split("?", 1)
        answer = requests.post(
            address,
            data=[*parse_qsl(query), ("approve", "true")],
            headers={"Authorization": f"Bearer {person['token']}"},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 302, answer.text
        token = app.fetch_token(
            endpoint, authorization_response=answer.headers["Location"], state=state, code_verifier=verifier
        )
        keys = JsonWebKey.import_key_set(requests.get(discovered["jwks_uri"], timeout=30).json())
        claims = jwt.decode(
            token["id_token"],
            keys,
            claims_cls=CodeIDToken,
            claims_options={"iss": {"value": issuer}, "aud": {"value": client["client_id"]}},
            claims_params={"nonce": "n", "client_id": client["client_id"], "access_token": token["access_token"]},
        )
        claims.validate()
        assert claims.header["alg"] == "RS256", claims.header
