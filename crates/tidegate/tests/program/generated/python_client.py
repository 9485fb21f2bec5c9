"""Makes a Python client of each contract with openapi-python-client, and walks the contract's flow with it.

    python_client.py BASE

TIDEGATE names the program. Says nothing and exits with 0 when every step was as the description says.
"""

import importlib
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True

import contracts  # noqa: E402
from contracts import PASSWORD, code_sent_to, tidegate  # noqa: E402


class Generated:
    """The package made of one contract's description."""

    def __init__(self, base, document, directory):
        self.base, self.package = base, f"client_of_{document}"
        described = directory / f"{document}.json"
        urllib.request.urlretrieve(f"{base}/openapi/{document}.json", described)
        command = ["openapi_python_client", "generate", "--path", str(described), "--meta", "none",
                   "--output-path", str(directory / self.package), "--config", str(directory / "config.yaml")]
        # A warning says that the generator did not understand a part and left it out.
        made = subprocess.run([sys.executable, "-m", *command, "--fail-on-warning"], capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr
        self.anonymous = self.part("client").Client(base_url=base, raise_on_unexpected_status=True)

    def part(self, name):
        return importlib.import_module(f"{self.package}.{name}")

    def model(self, name, /, **fields):
        """A body, by the name of its schema."""
        return getattr(self.part("models"), name)(**fields)

    def signed_in(self, token):
        return self.part("client").AuthenticatedClient(
            base_url=self.base, token=token, raise_on_unexpected_status=True)

    def call(self, status, operation, client=None, **arguments):
        """Calls an operation that must be answered so; answers what the client made of the answer."""
        answer = self.part(f"api.{operation}").sync_detailed(client=client or self.anonymous, **arguments)
        assert answer.status_code == status, (operation, answer)
        return answer.parsed


def rivergen(api):
    email = "python@example.com"
    body = api.model("SignUpBody", email=email, password=PASSWORD, display_name="Ada")
    made = api.call(201, "authentication.sign_up", body=body).data
    body = api.model("VerifyOtpBody", temporary_token=made.temporary_token, otp_code=code_sent_to(email))
    tokens = api.call(200, "authentication.verify_otp", body=body).data
    caller = api.signed_in(tokens.access_token)
    assert api.call(200, "account.me", caller).data.user.primary_email == email
    body = api.model("LoginBody", email=email, password=PASSWORD)
    signed_in = api.call(200, "authentication.login", body=body).data
    assert signed_in.access_token
    body = api.model("RefreshBody", refresh_token=signed_in.refresh_token)
    caller = api.signed_in(api.call(200, "authentication.refresh", body=body).data.access_token)
    sessions = api.call(200, "sessions.list_sessions", caller).data
    assert sessions.active_count == 2, sessions
    body = api.model("LoginBody", email=email, password="Wrong1horse")
    assert api.call(401, "authentication.login", body=body).error.code == "INVALID_CREDENTIALS"
    api.call(204, "authentication.logout", caller)
    assert api.call(401, "account.me", caller).error.code == "UNAUTHORIZED"


def ingestiq(api):
    body = api.model("RegisterBody", email="python@ingest.example", password=PASSWORD, name="Ada")
    made = api.call(201, "authentication.register", body=body)
    caller = api.signed_in(made.access_token)
    assert api.call(200, "authentication.me", caller).user.id == made.user.id
    body = api.model("RefreshBody", refresh_token=made.refresh_token)
    caller = api.signed_in(api.call(200, "authentication.refresh", body=body).access_token)
    body = api.model("LoginBody", email="python@ingest.example", password=PASSWORD)
    assert api.call(200, "authentication.login", body=body).user.name == "Ada"
    assert api.call(200, "authentication.logout", caller).message
    assert api.call(401, "authentication.me", caller).error.code
    assert api.call(200, "health.health").status == "ok"


def crossing_minds(api):
    email = "root@python.example"
    tidegate("org", "create", "--name", "Python", "--root-email", email, "--root-password-stdin", text=PASSWORD + "\n")
    body = api.model("LoginIndividualBody", email=email, password=PASSWORD)
    signed_in = api.call(200, "login.login_individual", body=body)
    root = api.signed_in(signed_in.token)
    role = api.part("models").CreateServiceBodyRole.BACKEND
    body = api.model("CreateServiceBody", name="python", role=role, password=PASSWORD)
    api.call(200, "accounts.create_service", root, body=body)
    body = api.model("CreateDatabaseBody", name="shop", description="", item_id_type="uuid", user_id_type="uint32")
    database = api.call(200, "databases.create_database", root, body=body).id
    body = api.model("LoginServiceBody", name="python", password=PASSWORD, db_id=database)
    program = api.signed_in(api.call(200, "login.login_service", body=body).token)
    assert api.call(200, "databases.current_database", program).id == database
    body = api.model("ResolveSessionBody", user_id=7)
    api.call(200, "databases.resolve_session", program, session_id="00000000-0000-0000-0000-000000000000", body=body)
    body = api.model("ListResolvedBody", amt=10)
    assert api.call(200, "databases.list_resolved_sessions", program, body=body)
    body = api.model("RefreshTokenBody", refresh_token=signed_in.refresh_token)
    root = api.signed_in(api.call(200, "login.refresh_token", body=body).token)
    assert len(api.call(200, "accounts.list_accounts", root).service_accounts) == 1
    api.call(204, "accounts.delete_service", root, body=api.model("ServiceNameBody", name="python"))
    assert api.call(401, "databases.current_database", program).error_name == "AuthError"


def riven(api):
    phone = "+254712000001"
    api.call(200, "registration.enter_phone", body=api.model("PhoneBody", phone=phone))
    body = api.model("CodeBody", phone=phone, code=code_sent_to(phone))
    caller = api.signed_in(api.call(200, "registration.confirm_code", body=body).auth.token)
    models = api.part("models")
    contact = api.model("ContactBody", email_address="python@riven.example", phone_number=phone,
                        street_address=["20 Moi Avenue"], city="Nairobi")
    identity = api.model("IdentityBody", given_name="Wanjiru", family_name="Kamau",
                         date_of_birth=__import__("datetime").date(1980, 1, 1), country_of_tax_residence="KEN",
                         funding_source=models.FundingSource.SAVINGS)
    disclosures = api.model("DisclosuresBody", is_control_person=False, is_affiliated_exchange_or_finra=False,
                            is_politically_exposed=False, immediate_family_exposed=False)
    agreement = models.AgreementBody.from_dict({
        "agreement": "customer_agreement", "signed_at": "2026-01-01T10:00:00Z", "ip_address": "203.0.113.7"})
    body = api.model("ApplicationBody", contact=contact, identity=identity, disclosures=disclosures,
                     agreements=agreement)
    assert api.call(200, "account.create", caller, body=body).status is True
    assert api.call(409, "account.create", caller, body=body).message
    assert api.call(200, "account.profile", caller).sandbox is True
    assert api.call(200, "login.logout", caller).message
    assert api.call(401, "account.profile", caller).message == "Unauthenticated."


def main():
    [base] = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        sys.path.insert(0, scratch)
        # It would format what it made.
        (directory / "config.yaml").write_text("post_hooks: []\n")
        for contract, walk in zip(contracts.CONTRACTS, [rivergen, ingestiq, crossing_minds, riven], strict=True):
            walk(Generated(base, contract.document, directory))


if __name__ == "__main__":
    main()
