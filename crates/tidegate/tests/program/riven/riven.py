"""Walks through the Riven contract as its clients do, over HTTP, with nothing but the standard library.

    riven.py BASE apply PHONE SLASH         from a phone to a brokerage account that waits to be approved
    riven.py BASE return PHONE SLASH TOKEN  and on from there, once it is active

BASE is where the server listens; SLASH is what paths end with, nothing or `/`. TIDEGATE names the program, for codes
are read beside the server. Exits with 0 when everything was as the contract says. `apply` prints what nobody else must
learn: one JSON object with the codes, the token, the tax number and so on.
"""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import urllib.parse
import zlib

TAX_ID = "A098765432Z"
BORN = "1987-03-14"
# The day began in Nairobi, three hours east of UTC.
DOB = "1987-03-13T21:00:00.000000Z"
PASSPORT = b"%PDF-1.7\nnobody but the broker reads this passport"
BILL = b"\xff\xd8\xff\xe0\0\x10JFIF nobody but the broker reads this bill"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SECOND = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z"


def application(phone, email):
    """The body in the shape of the contract's sample: single objects, nulls, empty strings, the text "null"."""
    absent = [
        "minor_identity", "entity_id", "account_sub_type", "auto_approve", "beneficiaries", "trading_configurations",
        "currency", "enabled_assets", "instant", "entity_identity", "entity_contact", "authorized_individuals",
        "ultimate_beneficial_owners", "sub_correspondent",
    ]
    return {
        "account_type": "",
        "contact": {
            "email_address": email, "phone_number": phone, "street_address": "20 Moi Avenue", "unit": "null",
            "city": "Nairobi", "state": "", "postal_code": "00100",
        },
        "identity": {
            "given_name": "User", "middle_name": "null", "family_name": "One", "date_of_birth": BORN,
            "tax_id": TAX_ID, "tax_id_type": "NATIONAL_ID", "country_of_citizenship": "KEN",
            "country_of_birth": "KEN", "country_of_tax_residence": "KEN", "funding_source": "employment_income",
            "is_force_finra_institutional": None, "investment_experience_with_stocks": None,
            "investment_experience_with_options": None, "investment_time_horizon": None,
        },
        "disclosures": {
            "is_control_person": False, "is_affiliated_exchange_or_finra": False,
            "is_affiliated_exchange_or_iiroc": False, "is_politically_exposed": False,
            "immediate_family_exposed": False, "is_discretionary": None,
        },
        "agreements": {
            "agreement": "customer_agreement", "signed_at": "2020-09-11T18:09:33Z", "ip_address": "185.13.21.99",
            "revision": "19.2022.02",
        },
        "documents": {
            "document_type": "identity_verification", "document_sub_type": "passport",
            "content": base64.b64encode(PASSPORT).decode(), "content_data": None, "mime_type": "application/pdf",
        },
        "trusted_contact": {"given_name": "Jane", "family_name": "Doe", "email_address": "jane@example.com"},
        "additional_information": "",
    } | dict.fromkeys(absent)


def form(*parts):
    """A multipart body: (name, text) for a field, (name, type, bytes) for a file."""
    body = b""
    for name, *kind, content in parts:
        head = f'--riven\r\nContent-Disposition: form-data; name="{name}"'
        if kind:
            head += f'; filename="scan"\r\nContent-Type: {kind[0]}'
        body += head.encode() + b"\r\n\r\n" + (content if kind else content.encode()) + b"\r\n"
    return body + b"--riven--\r\n"


def wrong(code):
    return "000000" if code != "000000" else "000001"


class Client:
    """Somebody with a phone, and what they know."""

    def __init__(self, base, phone, slash, token=None):
        base = urllib.parse.urlsplit(base)
        self.connection = http.client.HTTPConnection(base.hostname, base.port)
        self.phone, self.slash, self.token = phone, slash, token
        self.email = f"user{phone[-4:]}@example.com"
        self.codes = []

    def send(self, method, path, body=b"", kind="application/json"):
        """One request on the connection; answers status and JSON."""
        headers = {"Accept": "application/json", "Content-Type": kind}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        self.connection.request(method, f"/api/v1/{path}{self.slash}", body, headers)
        response = self.connection.getresponse()
        text = response.read()
        assert response.headers.get_content_type() == "application/json", (path, response.headers.items(), text)
        return response.status, json.loads(text)

    def post(self, path, **body):
        return self.send("POST", path, json.dumps(body).encode())

    def submit(self, method, *parts):
        return self.send(method, "account/kyc", form(*parts), "multipart/form-data; boundary=riven")

    def code(self):
        """The newest code, read beside the server."""
        command = [os.environ["TIDEGATE"], "outbox", "code", "--to", self.phone]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done
        code = done.stdout.strip()
        assert re.fullmatch(r"\d{6}", code), code
        self.codes.append(code)
        return code

    def keep(self, auth):
        """Keeps a token, which is one of Sanctum's: a number, 40 letters and digits, and their checksum."""
        assert auth.keys() == {"type", "token"} and auth["type"] == "Bearer", auth
        number, secret = auth["token"].split("|")
        assert number.isdecimal() and re.fullmatch(r"[A-Za-z0-9]{40}[0-9a-f]{8}", secret), secret
        assert secret[40:] == f"{zlib.crc32(secret[:40].encode()):08x}", secret
        self.token = auth["token"]

    def sees_itself(self, user, *statuses):
        """Checks the whole user object of somebody who has applied."""
        kept = {key: user[key] for key in ["id", "alpaca_account_id", "account_status", "created_at", "updated_at"]}
        assert isinstance(user["id"], int) and user["account_status"] in statuses, user
        assert re.fullmatch(UUID, user["alpaca_account_id"]), user
        assert re.fullmatch(SECOND, user["created_at"]) and re.fullmatch(SECOND, user["updated_at"]), user
        assert user == kept | {
            "phone": self.phone, "otp_code": None, "name": "User One", "first_name": "User", "last_name": "One",
            "profile_photo": None, "email": self.email, "email_verified_at": None, "other_phones": None, "dob": DOB,
            "gender": None,
        }, user
        return user["alpaca_account_id"]

    def apply(self):
        self.register()
        self.open_an_account()
        self.submit_documents()
        print(json.dumps({
            "phone": self.phone, "codes": self.codes, "token": self.token, "tax_id": TAX_ID, "born": [BORN, DOB[:10]],
            "documents": [PASSPORT[-20:].decode(), BILL[-20:].decode()],
            "base64": [base64.b64encode(document).decode() for document in [PASSPORT, BILL]],
        }))

    def register(self):
        unauthenticated = 401, {"message": "Unauthenticated."}
        assert self.send("GET", "account/profile") == unauthenticated
        status, answer = self.post("auth/enter-phone", phone="+44 20 7946 0000")
        assert status == 422 and answer["status"] is False and list(answer["errors"]) == ["phone"], answer
        assert answer["message"] == answer["errors"]["phone"][0], answer
        # As people write it.
        sent = 200, {"message": "Confirmation code sent", "status": True}
        assert self.post("auth/enter-phone", phone=f"0{self.phone[4:7]} {self.phone[7:10]}-{self.phone[10:]}") == sent
        code = self.code()
        refused = 422, {"message": "Invalid code", "auth": [], "status": False}
        assert self.post("auth/confirm-code", phone=self.phone, code=wrong(code)) == refused
        # A code to register is none to log in.
        assert self.post("login/verify-code", phone=self.phone, code=code) == \
            (401, {"message": "Invalid credentials", "status": False})
        status, answer = self.post("auth/confirm-code", phone=self.phone, code=code)
        auth = answer["auth"]
        assert (status, answer) == (200, {"message": "Code verified", "auth": auth, "status": True}), answer
        # As after a lost answer.
        assert self.post("auth/confirm-code", phone=self.phone, code=code) == (status, answer)
        assert self.post("auth/confirm-code", phone=self.phone, code=wrong(code)) == refused
        self.keep(auth)

    def open_an_account(self):
        missing = {"message": "There is no brokerage account yet; open one with account/create.", "status": False}
        assert self.send("GET", "account/profile") == (404, missing)
        somebody_elses = application("+254799999999", self.email)
        status, answer = self.post("account/create", **somebody_elses)
        assert status == 422 and list(answer["errors"]) == ["contact.phone_number"], answer
        body = application(self.phone, self.email)
        status, answer = self.post("account/create", **body)
        assert (status, answer.keys(), answer["status"]) == (200, {"data", "status"}, True), answer
        self.sees_itself(answer["data"], "new")
        assert self.post("account/create", **body) == (409, {"message": "Account already exists", "status": False})

    def submit_documents(self):
        assert self.send("GET", "account/kyc")[0] == 422
        kind = "document_type", "address_verification"
        for method, parts in [
            ("POST", [kind, ("document", "image/jpeg", BILL)]),
            ("GET", [kind, ("document_sub_type", "bill"), ("document", "image/jpeg", BILL)]),
            ("POST", [(f"documents[{n}][{field}]", *rest) for n in range(2)
                      for field, *rest in [kind, ("document", "application/octet-stream", PASSPORT)]]),
        ]:
            status, answer = self.submit(method, *parts)
            assert status == 200, answer
            # Active as soon as the broker says so.
            self.sees_itself(answer.pop("data"), "pending", "active")
            assert answer == {"message": "trader account kyc accepted", "status": True}, answer

    def come_back(self):
        """The account is active."""
        first = self.token
        account = self.read_profile()
        assert self.post("logout") == (200, {"message": "Successfully logged out"})
        assert self.post("logout") == (401, {"message": "Unauthenticated."})
        assert self.send("GET", "account/profile")[0] == 401

        sent = 200, {"message": "Login code sent", "status": True}
        assert self.post("login/send-code", phone="+254700000000") == sent
        assert self.post("login/send-code", phone=self.phone) == sent
        code = self.code()
        refused = 401, {"message": "Invalid credentials", "status": False}
        assert self.post("login/verify-code", phone=self.phone, code=wrong(code)) == refused
        status, answer = self.post("login/verify-code", phone=self.phone, code=code)
        assert (status, answer.keys(), answer["status"]) == (200, {"user", "auth", "status"}, True), answer
        # As after a lost answer.
        assert self.post("login/verify-code", phone=self.phone, code=code) == (status, answer)
        assert self.sees_itself(answer["user"], "active") == account
        assert self.post("login/verify-code", phone=self.phone, code=wrong(code)) == refused
        self.keep(answer["auth"])
        assert self.token != first
        assert self.read_profile() == account
        # Leaving one token leaves the other.
        assert self.post("login/send-code", phone=self.phone) == sent
        status, answer = self.post("login/verify-code", phone=self.phone, code=self.code())
        kept, self.token = self.token, answer["auth"]["token"]
        assert self.post("logout") == (200, {"message": "Successfully logged out"})
        self.token = kept
        assert self.read_profile() == account

    def read_profile(self):
        status, answer = self.send("GET", "account/profile")
        # The embedded sandbox says that it is one.
        assert (status, answer["status"], answer["sandbox"]) == (200, True, True), answer
        data = answer["data"]
        assert data["status"] == "ACTIVE" and data["kyc_results"]["summary"] == "pass", data
        assert data["account_number"].isdecimal() and data["currency"] == "USD", data
        assert (data["cash"], data["buying_power"], data["equity"], data["last_equity"]) == ("0",) * 4, data
        contact, identity = data["contact"], data["identity"]
        assert (contact["email_address"], contact["phone_number"]) == (self.email, self.phone), contact
        assert contact["street_address"] == ["20 Moi Avenue"], contact
        assert (identity["given_name"], identity["date_of_birth"]) == ("User", BORN), identity
        assert identity["funding_source"] == ["employment_income"], identity
        assert "tax_id" not in identity and "null" not in contact.values() and "null" not in identity.values(), data
        kinds = [document["document_type"] for document in data["documents"]]
        assert kinds == ["identity_verification"] + ["address_verification"] * 4, kinds
        assert TAX_ID not in json.dumps(answer)
        return data["id"]


def main():
    base, story, *who = sys.argv[1:]
    client = Client(base, *who)
    {"apply": client.apply, "return": client.come_back}[story]()


if __name__ == "__main__":
    main()
