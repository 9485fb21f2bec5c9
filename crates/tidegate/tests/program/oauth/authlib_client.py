"""Authlib walks the flows that it knows; the first argument is JSON, as settings.mjs has it."""

import json
import re
import sys
from urllib.parse import parse_qsl

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken

settings = json.loads(sys.argv[1])
issuer, person = settings["issuer"], settings["person"]
discovered = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=30).json()
assert discovered["issuer"] == issuer, discovered


def session(client, method):
    return OAuth2Session(
        client["id"],
        client.get("secret"),
        scope="openid email offline_access",
        redirect_uri=settings["redirectUri"],
        token_endpoint_auth_method=method,
        code_challenge_method="S256",
    )


def refused(error, call, *arguments, **named):
    try:
        answer = call(*arguments, **named)
    except OAuthError as refusal:
        assert refusal.error == error, refusal
    else:
        raise AssertionError(f"{error} expected, not {answer}")


for client, method in [
    (settings["confidential"], "client_secret_basic"),
    (settings["confidential"], "client_secret_post"),
    (settings["publicClient"], "none"),
]:
    with session(client, method) as app:
        verifier, nonce = "v" * 64, f"nonce-{method}"
        url, state = app.create_authorization_url(
            discovered["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        endpoint, query = url.split("?", 1)
        answer = requests.post(
            endpoint,
            data=[*parse_qsl(query), ("approve", "true")],
            headers={"Authorization": f"Bearer {person['token']}"},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 302, answer.text
        token = app.fetch_token(
            discovered["token_endpoint"],
            authorization_response=answer.headers["Location"],
            state=state,
            code_verifier=verifier,
        )
        keys = JsonWebKey.import_key_set(requests.get(discovered["jwks_uri"], timeout=30).json())
        claims = jwt.decode(
            token["id_token"],
            keys,
            claims_cls=CodeIDToken,
            claims_options={"iss": {"value": issuer}, "aud": {"value": client["id"]}},
            claims_params={"nonce": nonce, "client_id": client["id"], "access_token": token["access_token"]},
        )
        claims.validate()
        userinfo = app.get(discovered["userinfo_endpoint"]).json()
        assert (userinfo["sub"], userinfo["email"]) == (claims["sub"], person["email"]), userinfo
        refreshed = app.refresh_token(discovered["token_endpoint"], refresh_token=token["refresh_token"])
        assert refreshed["refresh_token"] != token["refresh_token"]
        if method != "none":
            known = app.introspect_token(discovered["introspection_endpoint"], token=refreshed["access_token"])
            assert known.json()["active"] is True, known.text
        app.revoke_token(discovered["revocation_endpoint"], token=refreshed["refresh_token"])
        refused("invalid_grant", app.refresh_token, discovered["token_endpoint"], refreshed["refresh_token"])

with OAuth2Session(settings["confidential"]["id"], settings["confidential"]["secret"], scope="read") as program:
    token = program.fetch_token(discovered["token_endpoint"], grant_type="client_credentials")
    assert token["scope"] == "read", token


def submit(browser, page, action, typed):
    """Sends the first form of a page that goes to `action`, with what is typed."""
    inside = page.text.split(f'action="{action}"')[1].split("</form>")[0]
    form = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', inside))
    return browser.post(f"{issuer}{action}", data={**form, **typed}, timeout=30)


# A device: the person types its code in a browser.
television = settings["publicClient"]["id"]
with OAuth2Session(television, token_endpoint_auth_method="none") as device, requests.Session() as browser:
    asked = requests.post(
        discovered["device_authorization_endpoint"],
        data={"client_id": television, "scope": "openid email"},
        timeout=30,
    ).json()
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": asked["device_code"]}
    refused("authorization_pending", device.fetch_token, discovered["token_endpoint"], **grant)
    browser.headers["Accept"] = "text/html"
    page = browser.get(asked["verification_uri_complete"], timeout=30)
    page = submit(browser, page, "/sign-in", {"login": person["email"], "password": person["password"]})
    page = submit(browser, page, "/device", {"user_code": asked["user_code"]})
    page = submit(browser, page, "/device", {"choice": "allow"})
    assert "Device connected" in page.text, page.text
    device.fetch_token(discovered["token_endpoint"], **grant)
    assert device.get(discovered["userinfo_endpoint"]).json()["email"] == person["email"]
    refused("invalid_grant", device.fetch_token, discovered["token_endpoint"], **grant)
