"""How to sign in to each contract, and how each says that a request is invalid.

TIDEGATE names the program, for what an operator does beside the server: read the outbox, make an organization.
"""

import itertools
import json
import os
import subprocess
import urllib.error
import urllib.request

PASSWORD = "Correct1horse!"


def send(method, url, body=None, token=None):
    """One request; answers status and JSON, or None for an empty answer."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as refusal:
        text = refusal.read()
        return refusal.code, json.loads(text) if text else None


def done(answer):
    """The body of an answer that must be a success."""
    status, body = answer
    assert status < 300, (status, body)
    return body


def tidegate(*arguments, text=None):
    """What an operator does beside the server."""
    ended = subprocess.run([os.environ["TIDEGATE"], *arguments], input=text, capture_output=True, text=True,
                           cwd=os.environ.get("GENERATED_INSTALLATION"))
    assert ended.returncode == 0, (arguments, ended)
    return ended.stdout.strip()


def code_sent_to(recipient):
    return tidegate("outbox", "code", "--to", recipient)


class Contract:
    """A contract, and whoever is signed in to it."""

    # Operations whose success, or whatever answer, leaves the token without use.
    ending = ()

    def __init__(self, base):
        self.base, self.number = base, itertools.count(os.getpid() * 1000)

    def post(self, path, body, token=None):
        return done(send("POST", self.base + path, body, token))

    def ends_session(self, method, path, status):
        """Whether the token is to be replaced after this answer."""
        return status == 401 or (method, path) in self.ending


class Rivergen(Contract):
    name, document = "RiverGen", "rivergen"
    ending = {
        ("POST", "/api/v1/auth/logout"), ("POST", "/api/v1/auth/logout-all"), ("POST", "/api/v1/auth/change-password"),
    }

    def sign_in(self):
        email = f"generated{next(self.number)}@example.com"
        sign_up = {"email": email, "password": PASSWORD}
        temporary = self.post("/api/v1/auth/signup", sign_up)["data"]["temporary_token"]
        claim = {"temporary_token": temporary, "otp_code": code_sent_to(email)}
        return self.post("/api/v1/auth/verify-otp", claim)["data"]["access_token"]

    def invalid(self, status, body):
        """What is said to be invalid in a request; nothing where another thing was refused."""
        error = (body or {}).get("error", {})
        return error if error.get("code") in ("VALIDATION_ERROR", "INVALID_PASSWORD") else None


class Ingestiq(Contract):
    name, document = "IngestIQ", "ingestiq"
    ending = {("POST", "/api/v2/auth/logout")}

    def sign_in(self):
        person = {"email": f"registered{next(self.number)}@example.com", "password": PASSWORD, "name": "Ada"}
        return self.post("/api/v2/auth/register", person)["accessToken"]

    def invalid(self, status, body):
        error = (body or {}).get("error", {})
        return error if error.get("code") == "VALIDATION_ERROR" else None


class CrossingMinds(Contract):
    name, document = "Crossing Minds", "crossing_minds"
    ending = {("DELETE", "/v1/databases/current"), ("DELETE", "/v1/accounts")}

    def sign_in(self):
        number = next(self.number)
        email = f"root{number}@example.com"
        tidegate("org", "create", "--name", f"Organization {number}", "--root-email", email, "--root-password-stdin",
                 text=PASSWORD + "\n")
        person = {"email": email, "password": PASSWORD}
        root = self.post("/v1/login/individual", person)["token"]
        shop = {"name": "shop", "description": "", "item_id_type": "uuid", "user_id_type": "urlsafe64",
                "session_id_type": "urlsafe64"}
        database = self.post("/v1/databases", shop, root)["id"]
        return self.post("/v1/login/individual", person | {"db_id": database})["token"]

    def invalid(self, status, body):
        data = (body or {}).get("error_data", {})
        return data if data.get("name") == "WRONG_DATA_TYPE" else None


class Riven(Contract):
    name, document = "Riven", "riven"
    ending = {("POST", "/api/v1/logout")}

    def sign_in(self):
        # Whom an application is about is the caller.
        self.phone = f"+2547{next(self.number) % 10**8:08}"
        self.post("/api/v1/auth/enter-phone", {"phone": self.phone})
        claim = {"phone": self.phone, "code": code_sent_to(self.phone)}
        return self.post("/api/v1/auth/confirm-code", claim)["auth"]["token"]

    def ends_session(self, method, path, status):
        # Nobody opens a second account.
        has_account = path == "/api/v1/account/create" and status in (200, 409)
        return has_account or super().ends_session(method, path, status)

    def invalid(self, status, body):
        return (body or {}).get("errors") if status in (400, 422) else None


CONTRACTS = [Rivergen, Ingestiq, CrossingMinds, Riven]
