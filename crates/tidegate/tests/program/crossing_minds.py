"""Walks through the Crossing Minds contract as its clients do, over HTTP, with nothing but the standard library.

    crossing_minds.py BASE MOUNT STORY

BASE is where the server listens, MOUNT `/v1/` or `/`, STORY `walk` or `expiry`. TIDEGATE names the program, for what
an operator does beside the server. Says nothing and exits with 0 when everything was as the contract says.
"""

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.parse
import uuid
import zlib

PASSWORD = "Correct1horse!"
OTHER_PASSWORD = "Another1horse!"
# The body `null`, which is another than none.
NULL = object()
# What a reader of the contract expects of every class of errors: its number by its name.
CLASSES = {
    "ServerError": 0, "ServerUnavailable": 1, "TooManyRequests": 2, "AuthError": 21, "JwtTokenExpired": 22,
    "RefreshTokenExpired": 28, "WrongData": 40, "DuplicatedError": 42, "ForbiddenError": 50, "NotFoundError": 60,
    "MethodNotAllowed": 70,
}


class Refused(Exception):
    """An answer of 400 or more."""

    def __init__(self, status, headers, error):
        super().__init__(f"{status} {error}")
        # Libraries index all four, and crash on a missing one.
        self.status, self.headers = status, headers
        self.code, self.name = error["error_code"], error["error_name"]
        self.message, self.data = error["message"], error["error_data"]
        assert CLASSES[self.name] == self.code, error
        assert isinstance(self.message, str) and isinstance(self.data, dict), error


class Client:
    """Sends whatever token it has with every request, and a body where none is wanted, as the libraries do."""

    def __init__(self, base, mount):
        self.base, self.mount = urllib.parse.urlsplit(base), mount
        self.connection = http.client.HTTPConnection(self.base.hostname, self.base.port)
        self.token = self.refresh_token = ""

    def send(self, method, path, body=b"", **headers):
        """One request on the connection; answers status, headers and bytes."""
        everything = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "User-Agent": "CrossingMinds/0.0 (Python/3; JSON)",
        }
        everything.update(headers)
        for left in reversed(range(3)):
            try:
                self.connection.request(method, self.mount + path, body, everything)
                response = self.connection.getresponse()
                return response.status, response.headers, response.read()
            except ConnectionError:
                # A server may close a connection whose last request it refused unread; the libraries try again.
                self.connection.close()
                if not left:
                    raise

    def call(self, method, path, body=None):
        text = b"" if body is None else b"null" if body is NULL else json.dumps(body).encode()
        status, headers, text = self.send(method, path, text)
        value = None
        if text:
            assert headers.get_content_type() == "application/json", (method, path, headers.items())
            value = json.loads(text)
        if status >= 400:
            raise Refused(status, headers, value)
        assert status != 204 or not text, (method, path, text)
        return status, value

    def get(self, path, **query):
        query = "?" + urllib.parse.urlencode(query) if query else ""
        return self.expect(200, "GET", path + query)

    def post(self, path, **body):
        return self.expect(200, "POST", path, body)

    def put(self, path, **body):
        return self.expect(200, "PUT", path, body)

    def patch(self, path, **body):
        assert self.expect(200, "PATCH", path, body) == {}

    def delete(self, path, **body):
        # With nothing to say, some say `null`.
        assert self.expect(204, "DELETE", path, body or NULL) is None

    def expect(self, expected, method, path, body=None):
        status, value = self.call(method, path, body)
        assert status == expected, (method, path, status, value)
        return value

    def keep(self, answer):
        """Keeps the tokens of a login or a refresh, which both are always there."""
        self.token, self.refresh_token = answer["token"], answer["refresh_token"]
        return answer

    def login(self, email, password=PASSWORD, **more):
        return self.keep(self.post("login/individual/", email=email, password=password, **more))

    def login_service(self, name, password=PASSWORD, **more):
        return self.keep(self.post("login/service/", name=name, password=password, **more))

    def refresh(self, **more):
        return self.keep(self.post("login/refresh-token/", refresh_token=self.refresh_token, **more))

    def whoami(self):
        """With a JSON type and no body at all."""
        return self.expect(200, "POST", "login/jwt/")


def refused(status, name, call, /, *arguments, **body):
    """Makes a call that must be refused so; answers the refusal."""
    try:
        answer = call(*arguments, **body)
    except Refused as refusal:
        assert (refusal.status, refusal.data.get("name")) == (status, name), (arguments, body, str(refusal))
        return refusal
    raise AssertionError(f"not refused with {status} {name}: {arguments} {body}: {answer}")


def tidegate(*arguments, text=None):
    """What an operator does beside the server."""
    done = subprocess.run([os.environ["TIDEGATE"], *arguments], input=text, capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done)
    return done.stdout.strip()


def provision(name, email):
    options = ["--name", name, "--root-email", email, "--root-password-stdin", "--json"]
    return json.loads(tidegate("org", "create", *options, text=PASSWORD + "\n"))


def code_sent_to(email):
    return tidegate("outbox", "code", "--to", email)


class Walk:
    """An organization from its provisioning to its end."""

    def __init__(self, base, mount):
        self.base, self.mount = base, mount
        # Names are unique in the installation, and the other mount's walk has its own.
        self.suffix = "v1" if mount == "/v1/" else "plain"
        self.made = provision(f"Acme {self.suffix}", self.email("root"))
        self.root = self.client()
        self.roles = {"root": self.root}

    def client(self):
        return Client(self.base, self.mount)

    def email(self, name):
        return f"{name}@{self.suffix}.example"

    def name(self, name):
        return f"{name} {self.suffix}"

    def walk(self):
        self.sign_in_as_root()
        self.make_a_manager()
        self.make_other_people()
        self.make_programs()
        self.use_keys()
        self.make_databases()
        self.use_a_database()
        self.switch_databases()
        self.stay_within_one_end_user()
        self.stay_within_ones_role()
        self.change_passwords()
        self.delete_databases()
        self.delete_accounts()
        self.err()

    def sign_in_as_root(self):
        root, email = self.root, self.email("root")
        nobody = refused(401, "INCORRECT_JWT_TOKEN", root.whoami)
        assert nobody.code == 21, nobody
        refused(401, "INCORRECT_PASSWORD", root.login, email, "Wrong1password!")
        refused(401, "INCORRECT_PASSWORD", root.login, self.email("nobody"))
        # An empty token, as sent by who never signed in.
        refused(401, "INCORRECT_REFRESH_TOKEN", root.refresh)
        answer = root.login(email)
        assert set(answer) == {"token", "refresh_token", "org_id", "role"}, answer
        assert (answer["org_id"], answer["role"]) == (self.made["org_id"], "root"), answer
        who = root.whoami()
        assert set(who) == {"org_id", "account"} and who["account"]["role"] == "root", who
        # The deprecated door warns; over the stale token of the first.
        answer = root.keep(root.post("login/root/", email=email.upper(), password=PASSWORD))
        assert answer["warnings"] and answer["role"] == "root", answer
        assert root.whoami() == who
        # Garbage where no token is wanted does not matter.
        root.token = "garbage"
        refused(401, "INCORRECT_JWT_TOKEN", root.whoami)
        root.login(email)
        assert root.whoami() == who

    def make_a_manager(self):
        root, manager, email = self.root, self.client(), self.email("manager")
        person = {"email": email, "role": "manager", "first_name": "Ada", "last_name": "Lovelace"}
        for wrong, field in [({"role": "root"}, "role"), ({"password": "short1!A"}, "password"),
                             ({"password": None, "email": "nonsense"}, "email"), ({"password": 5}, "password")]:
            body = person | {"password": PASSWORD} | wrong
            refusal = refused(400, "WRONG_DATA_TYPE", root.post, "accounts/individual/", **body)
            assert refusal.code == 40 and list(refusal.data["query"]) == [field], refusal
        answer = root.post("accounts/individual/", password=PASSWORD, metadata={"team": 1}, **person)
        assert set(answer) == {"id"}, answer
        refusal = refused(400, "DUPLICATED_ACCOUNT", root.post, "accounts/individual/", password=PASSWORD, **person)
        assert (refusal.code, refusal.data["type"], refusal.data["key"]) == (42, "account", email), refusal

        refused(401, "ACCOUNT_NOT_VERIFIED", manager.login, email)
        refused(401, "INCORRECT_PASSWORD", manager.login, email, OTHER_PASSWORD)
        code = code_sent_to(email)
        refused(401, "ACTIVATION_CODE_DOES_NOT_MATCH", manager.post, "accounts/verify/", email=email, code="abcd1234")
        refused(401, "ACTIVATION_CODE_DOES_NOT_MATCH", manager.post, "accounts/verify/",
                email=self.email("root"), code=code)
        unknown = self.email("nobody")
        refusal = refused(404, "ACCOUNT_NOT_FOUND", manager.post, "accounts/verify/", email=unknown, code=code)
        assert (refusal.code, refusal.data["key"]) == (60, unknown), refusal
        for _ in range(2):
            answer = manager.post("accounts/verify/", email=email, code=code)
            assert list(answer.items()) == [("email", email), ("verified", True)], answer
        refused(401, "ACCOUNT_ALREADY_VERIFIED", manager.put, "accounts/resend-verification-code/", email=email)
        refused(404, "ACCOUNT_NOT_FOUND", manager.put, "accounts/resend-verification-code/", email=unknown)
        answer = manager.login(email)
        assert (answer["role"], answer["org_id"]) == ("manager", self.made["org_id"]), answer
        # Whoever is no owner is nobody at the owners' door.
        refused(401, "INCORRECT_PASSWORD", manager.post, "login/root/", email=email, password=PASSWORD)
        self.roles["manager"] = manager

    def make_other_people(self):
        """A person whose first code got lost, verified by the deprecated GET that some still send."""
        manager, person, email = self.roles["manager"], self.client(), self.email("viewer")
        manager.post("accounts/individual/", email=email, role="demo_viewer", password=PASSWORD)
        lost = code_sent_to(email)
        # Answered with nothing at all, and not with 204.
        assert person.put("accounts/resend-verification-code/", email=email) is None
        code = code_sent_to(email)
        assert code != lost
        refused(401, "ACTIVATION_CODE_DOES_NOT_MATCH", person.get, "accounts/verify/", email=email, code=lost)
        answer = person.get("accounts/verify/", email=email, code=code)
        assert (answer["email"], answer["verified"]) == (email, True), answer
        assert person.login(email)["role"] == "demo_viewer"
        self.roles["demo_viewer"] = person

    def make_programs(self):
        manager = self.roles["manager"]
        for role in ["backend", "frontend"]:
            name, program = self.name(role), self.client()
            answer = manager.post("accounts/service/", name=name, role=role, password=PASSWORD)
            assert set(answer) == {"id"}, answer
            body = {"name": name, "role": role, "password": PASSWORD}
            refusal = refused(400, "DUPLICATED_ACCOUNT", manager.post, "accounts/service/", **body)
            assert refusal.data["key"] == name, refusal
            answer = program.login_service(name)
            assert (answer["role"], "database" in answer) == (role, False), answer
            self.roles[role] = program
        manager.patch("accounts/service/", name=self.name("backend"), metadata={"owner": "ops"})
        for path in ["organizations/current/accounts/", "organizations/accounts/"]:
            listed = manager.get(path)
            people = [(one["email"], one["role"], one["verified"]) for one in listed["individual_accounts"]]
            assert people == [(self.email("root"), "root", True), (self.email("manager"), "manager", True),
                              (self.email("viewer"), "demo_viewer", True)], people
            programs = [(one["name"], one["role"], one["keys"]) for one in listed["service_accounts"]]
            assert programs == [(self.name("backend"), "backend", []), (self.name("frontend"), "frontend", [])]
            assert listed["service_accounts"][0]["metadata"] == {"owner": "ops"}, listed

    def use_keys(self):
        manager, program, name = self.roles["manager"], self.client(), self.name("backend")
        made = manager.post("accounts/service/keys/", name=name, metadata={"for": "nightly"})
        assert made["expiration_timestamp"] is None and made["metadata"] == {"for": "nightly"}, made
        listed = manager.get("organizations/accounts/")["service_accounts"][0]["keys"]
        assert [key["id"] for key in listed] == [made["id"]] and made["key"] not in json.dumps(listed), listed
        program.login_service(name, made["key"])
        program.whoami()
        # Long past: it is listed, and opens nothing.
        expired = manager.post("accounts/service/keys/", name=name, expiration_timestamp=1.5)
        refused(401, "INCORRECT_PASSWORD", self.client().login_service, name, expired["key"])
        assert [key["is_expired"] for key in
                manager.get("organizations/accounts/")["service_accounts"][0]["keys"]] == [False, True]
        refused(404, "ACCOUNT_NOT_FOUND", manager.post, "accounts/service/keys/", name="nobody")
        refused(404, "KEY_NOT_FOUND", manager.delete, "accounts/service/keys/nonsense/")
        for key in [made, expired]:
            manager.delete(f"accounts/service/keys/{key['id']}/")
            refused(404, "KEY_NOT_FOUND", manager.delete, f"accounts/service/keys/{key['id']}/")
        # What it opened ends with it, and the program's password is as good as before.
        refused(401, "INCORRECT_JWT_TOKEN", program.whoami)
        refused(401, "INCORRECT_REFRESH_TOKEN", program.refresh)
        refused(401, "INCORRECT_PASSWORD", program.login_service, name, made["key"])
        self.roles["backend"].whoami()

    def make_databases(self):
        manager = self.roles["manager"]
        films = {"name": "films", "description": "All films", "item_id_type": "uuid", "user_id_type": "uint32"}
        songs = {"name": "songs", "description": "", "item_id_type": "hex24", "user_id_type": "urlsafe36",
                 "session_id_type": "bytes12", "metadata": {"a": 1}}
        self.films, self.songs = (manager.post("databases/", **body)["id"] for body in (films, songs))
        refusal = refused(400, "DUPLICATED_DB_NAME", manager.post, "databases/", **films)
        assert (refusal.code, refusal.data["type"], refusal.data["key"]) == (42, "database", "films"), refusal
        refusal = refused(400, "WRONG_DATA_TYPE", manager.post, "databases/", **films | {"item_id_type": "float"})
        assert list(refusal.data["query"]) == ["item_id_type"], refusal
        answer = manager.get("databases/")
        assert (answer["has_next"], answer["next_page"]) == (False, 2), answer
        assert [one["id"] for one in answer["databases"]] == [self.films, self.songs], answer
        assert answer["databases"][0] == films | {"id": self.films, "session_id_type": "uuid"}, answer
        answer = manager.get("databases/", amt=1, page=1)
        assert (answer["has_next"], answer["next_page"], len(answer["databases"])) == (True, 2, 1), answer

    def use_a_database(self):
        backend, name = self.roles["backend"], self.name("backend")
        for method, path in [("GET", "databases/current/"), ("GET", "databases/current/status/"),
                             ("POST", "resolved-sessions/")]:
            refused(400, "NO_DATABASE_SELECTED", backend.call, method, path, None if method == "GET" else {})
        for unknown in [{"db_id": "nonsense"}, {"db_id": self.films[:-1]}, {"db_name": "series"}]:
            refusal = refused(404, "DATABASE_NOT_FOUND", backend.login_service, name, **unknown)
            assert [refusal.data["key"]] == list(unknown.values()), refusal
        refused(400, "WRONG_DATA_TYPE", backend.login_service, name, db_id=self.films, db_name="songs")
        for choice in [{"db_name": "films"}, {"db_id": self.films}, {"db_id": self.films, "db_name": "films"}]:
            database = backend.login_service(name, **choice)["database"]
            assert (database["id"], database["status"]) == (self.films, "ready"), database
        # For the frontend role alone.
        for field in ["frontend_user_id", "frontend_session_id"]:
            refusal = refused(400, "WRONG_DATA_TYPE", backend.login_service, name, db_id=self.films, **{field: 7})
            assert list(refusal.data["query"]) == [field], refusal
        who = backend.whoami()
        assert who["database"] == {"id": self.films, "item_id_type": "uuid", "user_id_type": "uint32",
                                   "session_id_type": "uuid"}, who
        backend.patch("databases/current/", description="Films", metadata={"tags": ["a"], "x": {"y": 1}})
        backend.patch("databases/current/", metadata={"tags": ["b"]}, preserve=True)
        backend.patch("databases/current/", metadata={"x": None})
        current = backend.get("databases/current/")
        assert current["counters"] == {"rating": 0, "user": 0, "item": 0}, current
        assert (current["description"], current["metadata"]) == ("Films", {"tags": ["a", "b"]}), current
        assert backend.get("databases/current/status/") == {"status": "ready"}

    def switch_databases(self):
        backend = self.roles["backend"]
        before = backend.token
        answer = backend.refresh(db_name="songs")
        assert answer["database"]["id"] == self.songs and set(answer) >= {"org_id", "role"}, answer
        # Kept, until it is switched again; and the token of before is bound to what it was bound to.
        assert backend.refresh()["database"]["id"] == self.songs
        assert backend.whoami()["database"]["id"] == self.songs
        backend.token, after = before, backend.token
        assert backend.whoami()["database"]["id"] == self.films
        backend.token = after
        refused(404, "DATABASE_NOT_FOUND", backend.refresh, db_id="nonsense")
        assert backend.refresh(db_id=self.films)["database"]["id"] == self.films
        # Somebody who chose none chooses one later.
        for role in ["root", "manager", "demo_viewer"]:
            client = self.roles[role]
            assert "database" not in client.refresh(), role
            assert client.refresh(db_id=self.films)["database"]["name"] == "films", role

    def stay_within_one_end_user(self):
        frontend, backend, name = self.roles["frontend"], self.roles["backend"], self.name("frontend")
        session, other = str(uuid.UUID(int=7 << 64)), str(uuid.UUID(int=8 << 64))
        refused(400, "WRONG_DATA_TYPE", frontend.login_service, name, frontend_user_id=7)
        for wrong in [{"frontend_user_id": "seven"}, {"frontend_user_id": -1}, {"frontend_session_id": "x" * 65}]:
            refusal = refused(400, "WRONG_DATA_TYPE", frontend.login_service, name, db_id=self.films, **wrong)
            assert list(refusal.data["query"]) == list(wrong), refusal
        ids = {"frontend_user_id": 7, "frontend_session_id": session}
        answer = frontend.login_service(name, db_id=self.films, **ids | {"frontend_session_id": session.upper()})
        assert answer["role"] == "frontend", answer
        who = frontend.whoami()
        assert {key: who[key] for key in ids} == ids, who
        # Signing in with both has said whose the session is.
        listed = backend.post("resolved-sessions/", users_id=[7])["resolved_sessions"]
        assert [(one["session_id"], one["user_id"]) for one in listed] == [(session, 7)], listed
        for own in ["~me", session, session.upper()]:
            assert frontend.post(f"sessions/{own}/resolve/", user_id=7) is None
        for path, user in [(f"sessions/{other}/resolve/", 7), ("sessions/~me/resolve/", 8)]:
            refused(403, "INSUFFICIENT_ROLE", frontend.post, path, user_id=user)
        refused(403, "INSUFFICIENT_ROLE", frontend.post, "resolved-sessions/")
        # Nor another database's, nor the account, which is not the end user's to delete.
        refused(403, "INSUFFICIENT_ROLE", frontend.refresh, db_id=self.songs)
        refused(403, "INSUFFICIENT_ROLE", frontend.delete, "accounts/")
        frontend.refresh()
        assert frontend.whoami() == who
        assert backend.post(f"sessions/{other}/resolve/", user_id=8, timestamp=1.5) is None
        page = backend.post("resolved-sessions/", amt=1)
        assert page["has_next"] is True, page
        rest = backend.post("resolved-sessions/", amt=1, cursor=page["next_cursor"])
        assert (rest["has_next"], rest["resolved_sessions"]) == \
            (False, [{"session_id": other, "user_id": 8, "timestamp": 1.5}]), rest
        refused(400, "WRONG_DATA_TYPE", backend.post, "sessions/~me/resolve/", user_id=8)

    def stay_within_ones_role(self):
        """Every call that some role may not make, by the least role that may; with bodies that change nothing."""
        managers, backends = {"root", "manager"}, {"root", "manager", "backend"}
        nobody = self.name("nobody")
        calls = [
            ("GET", "organizations/current/accounts/", None, managers, 200),
            ("GET", "organizations/accounts/", None, managers, 200),
            ("POST", "accounts/individual/", {}, managers, 400),
            ("PATCH", "accounts/individual/", {"email": self.email("nobody")}, managers, 404),
            ("DELETE", "accounts/individual/", {"email": self.email("nobody")}, managers, 404),
            ("POST", "accounts/service/", {}, managers, 400),
            ("PATCH", "accounts/service/", {"name": nobody}, managers, 404),
            ("DELETE", "accounts/service/", {"name": nobody}, managers, 404),
            ("POST", "accounts/service/keys/", {"name": nobody}, managers, 404),
            ("DELETE", "accounts/service/keys/nonsense/", {}, managers, 404),
            ("POST", "databases/", {}, managers, 400),
            ("GET", "organizations/current/", None, managers, 200),
            ("PATCH", "organizations/current/", {"metadata": {"seats": 3}}, managers, 200),
            ("GET", "databases/", None, backends, 200),
            ("PATCH", "databases/current/", {}, backends, 200),
            ("POST", "resolved-sessions/", {}, backends, 200),
            ("GET", "databases/current/", None, set(self.roles), 200),
            ("GET", "databases/current/status/", None, set(self.roles), 200),
            ("POST", "login/jwt/", None, set(self.roles), 200),
        ]
        assert len(self.roles) == 5
        for role, client in self.roles.items():
            for method, path, body, may, otherwise in calls:
                try:
                    status, _ = client.call(method, path, body)
                except Refused as refusal:
                    status = refusal.status
                    is_role = refusal.data["name"] == "INSUFFICIENT_ROLE"
                    assert is_role == (role not in may), (role, method, path, str(refusal))
                    assert (refusal.code == 50) == is_role, (role, method, path, str(refusal))
                assert status == (otherwise if role in may else 403), (role, method, path, status)
        # The one call only some may make that would not leave things as they were.
        for role in ["backend", "demo_viewer", "frontend"]:
            refused(403, "INSUFFICIENT_ROLE", self.roles[role].delete, "databases/current/")
        refused(403, "INSUFFICIENT_ROLE", self.roles["demo_viewer"].post, "sessions/s/resolve/", user_id=1)
        assert self.root.get("organizations/current/") == {"metadata": {"seats": 3}}

    def change_passwords(self):
        manager, backend, name = self.roles["manager"], self.roles["backend"], self.name("backend")
        for body in [{"name": name, "password": "tooshort1A"}, {"name": name, "password": "alllowercase1"}]:
            refused(400, "WRONG_DATA_TYPE", manager.patch, "accounts/service/", **body)
        backend.whoami()
        manager.patch("accounts/service/", name=name, password=OTHER_PASSWORD)
        refused(401, "INCORRECT_JWT_TOKEN", backend.whoami)
        refused(401, "INCORRECT_REFRESH_TOKEN", backend.refresh)
        refused(401, "INCORRECT_PASSWORD", backend.login_service, name)
        backend.login_service(name, OTHER_PASSWORD, db_id=self.films)
        # The owner's account is the owner's alone.
        root = self.email("root")
        refusal = refused(403, "INCORRECT_ACCOUNT", manager.patch, "accounts/individual/", email=root, first_name="X")
        assert refusal.code == 50, refusal
        self.root.patch("accounts/individual/", email=root, first_name="Grace")

    def delete_databases(self):
        manager, backend = self.roles["manager"], self.roles["backend"]
        assert backend.whoami()["database"]["id"] == self.films
        manager.delete("databases/current/")
        for client in [manager, backend]:
            refusal = refused(404, "DATABASE_NOT_FOUND", client.get, "databases/current/")
            assert refusal.data["key"] == self.films, refusal
            refused(404, "DATABASE_NOT_FOUND", client.whoami)
            refused(404, "DATABASE_NOT_FOUND", client.refresh)
        refused(404, "DATABASE_NOT_FOUND", manager.delete, "databases/current/")
        assert [one["name"] for one in manager.get("databases/")["databases"]] == ["songs"]
        # What does not need it goes on, and another may be chosen.
        for client in [manager, backend]:
            assert client.refresh(db_name="songs")["database"]["id"] == self.songs

    def delete_accounts(self):
        root, manager = self.root, self.roles["manager"]
        refused(403, "INCORRECT_ACCOUNT", manager.delete, "accounts/individual/", email=self.email("root"))
        refused(403, "INCORRECT_ACCOUNT", root.delete, "accounts/individual/", email=self.email("root"))
        refused(403, "INCORRECT_ACCOUNT", root.delete, "accounts/")

        def is_gone(client, key):
            refused(401, "INCORRECT_JWT_TOKEN", client.whoami)
            refusal = refused(404, "ACCOUNT_NOT_FOUND", client.refresh)
            assert (refusal.data["type"], refusal.data["key"]) == ("account", key), refusal

        backend, name = self.roles["backend"], self.name("backend")
        manager.delete("accounts/service/", name=name)
        is_gone(backend, name)
        refused(401, "INCORRECT_PASSWORD", backend.login_service, name, OTHER_PASSWORD)
        refused(404, "ACCOUNT_NOT_FOUND", manager.delete, "accounts/service/", name=name)
        # The name is free, and whoever has it now is somebody else.
        manager.post("accounts/service/", name=name, role="demo_viewer", password=PASSWORD)
        successor = self.client()
        assert successor.login_service(name)["role"] == "demo_viewer"
        is_gone(backend, name)
        # A program may go by itself, and so may a person.
        successor.delete("accounts/")
        is_gone(successor, name)
        viewer = self.roles["demo_viewer"]
        viewer.delete("accounts/")
        is_gone(viewer, self.email("viewer"))
        root.delete("accounts/individual/", email=self.email("manager"))
        is_gone(manager, self.email("manager"))
        listed = root.get("organizations/current/accounts/")
        assert [one["email"] for one in listed["individual_accounts"]] == [self.email("root")], listed
        assert listed["individual_accounts"][0]["first_name"] == "Grace", listed
        assert [one["name"] for one in listed["service_accounts"]] == [self.name("frontend")], listed

    def err(self):
        """What no client should do is told in the same envelope."""
        root = self.root
        refusal = refused(404, "PATH_NOT_FOUND", root.get, "accounts/nowhere/")
        assert (refusal.data["type"], refusal.data["key"].rstrip("/")) == ("path", f"{self.mount}accounts/nowhere"), refusal
        refusal = refused(405, "METHOD_NOT_ALLOWED", root.put, "login/individual/")
        assert refusal.code == 70 and refusal.data["method"] == "PUT", refusal
        assert "POST" in refusal.headers["Allow"], refusal.headers.items()
        pickled = zlib.compress(b"cos\nsystem\n(S'true'\ntR.")
        kind = {"Content-Type": "application/xminds-pkl", "Content-Encoding": "gzip"}
        status, headers, text = root.send("POST", "login/individual/", pickled, **kind)
        refusal = Refused(status, headers, json.loads(text))
        assert (status, refusal.code, refusal.data["name"]) == (415, 40, "UNSUPPORTED_MEDIA_TYPE"), refusal
        status, headers, text = root.send("POST", "login/individual/", b"{")
        assert (status, Refused(status, headers, json.loads(text)).code) == (400, 40), text
        # A slash left out is no redirect, which would lose the body.
        assert "token" in root.post("login/individual", email=self.email("root"), password=PASSWORD)

    def expiry(self):
        """With access tokens that live for two seconds."""
        client = self.client()
        client.login(self.email("root"))
        database = client_until_good(client, lambda: client.post(
            "databases/", name="films", description="", item_id_type="uuid", user_id_type="uint32"))["id"]
        client.refresh(db_id=database)
        first = client.token
        while True:
            try:
                client.whoami()
            except Refused as refusal:
                # Which of the three is looked at depends on the library.
                assert (refusal.status, refusal.code, refusal.name) == (401, 22, "JwtTokenExpired"), refusal
                assert refusal.data["name"] == "INCORRECT_JWT_TOKEN", refusal
                break
            time.sleep(0.1)
        # Sent along with the expired token, which must not matter.
        kept = client.refresh_token
        answer = client.refresh()
        assert (answer["refresh_token"], answer["database"]["id"]) == (kept, database), answer
        assert client.token != first
        assert client_until_good(client, client.whoami)["database"]["id"] == database
        # Two tabs with one refresh token, each with an expired token of its own: neither signs the other out.
        other = self.client()
        other.token, other.refresh_token = first, kept
        for tab in [other, client, other]:
            tab.refresh()
            assert client_until_good(tab, tab.whoami)["database"]["id"] == database
        # Logging in anew over an expired token.
        other.token = first
        other.login(self.email("root"))
        assert "database" not in client_until_good(other, other.whoami)


def client_until_good(client, call):
    """Calls, and refreshes whenever the token is told to have expired, as the libraries do for their callers."""
    while True:
        try:
            return call()
        except Refused as refusal:
            if refusal.name != "JwtTokenExpired":
                raise
            client.refresh()


def main():
    base, mount, story = sys.argv[1:]
    walk = Walk(base, mount)
    {"walk": walk.walk, "expiry": walk.expiry}[story]()


if __name__ == "__main__":
    main()
