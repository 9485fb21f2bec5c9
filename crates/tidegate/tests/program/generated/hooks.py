"""What Schemathesis is told beside the description of a contract: who is signed in, how values of a format are made, and
two checks of its own. Counts what it sends.

Loaded by Schemathesis (SCHEMATHESIS_HOOKS), in a process of its own for each contract and each kind of caller:
GENERATED_BASE, GENERATED_CONTRACT, GENERATED_CALLER ("anonymous" or "signed in"), GENERATED_FIGURES (a file).
"""

import atexit
import json
import os
import re
import string
from collections import Counter, defaultdict

import contracts
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure

CONTRACT = next(one for one in contracts.CONTRACTS if one.document == os.environ["GENERATED_CONTRACT"])
contract = CONTRACT(os.environ["GENERATED_BASE"])
SIGNED_IN = os.environ["GENERATED_CALLER"] == "signed in"

# Headers that say how an answer is transported or cached, for which HTTP itself is the description.
USUAL_HEADERS = {
    # Of the CORS protocol, not of an operation.
    "access-control-expose-headers",
    "allow", "cache-control", "connection", "content-length", "content-type", "date", "transfer-encoding", "vary",
    "x-content-type-options",
}

PHONE = re.compile(r"(\+254|0)[17][0-9]{8}$")

counted = Counter()
answered = defaultdict(Counter)


def keep_figures():
    with open(os.environ["GENERATED_FIGURES"], "w") as file:
        json.dump({**counted, "operations": len(answered), "answered": answered}, file, indent=1)


atexit.register(keep_figures)


# Passwords as people choose them, names as people have them: a pattern alone would mostly give what nobody types. What does
# not match the pattern of its field is thrown away.
letters = st.characters(categories=["Lu", "Ll", "Lt", "Lo", "Nd", "Pd", "Po", "Zs"], max_codepoint=0x2FFF)
of_password = st.text(st.sampled_from(string.ascii_letters + string.digits + string.punctuation + " "), max_size=30)
schemathesis.openapi.format("password", of_password.map(lambda text: f"{text}aA1!") | of_password)
for line in ["single-line", "single-line-or-empty", "service-name"]:
    schemathesis.openapi.format(line, st.text(letters, min_size=1, max_size=40))


@schemathesis.auth(refresh_interval=None)
class Signed:
    """The token of somebody who is signed in, as long as it is one."""

    token = None

    def get(self, case, context):
        if not SIGNED_IN:
            return None
        if Signed.token is None:
            Signed.token = contract.sign_in()
        return Signed.token

    def set(self, case, token, context):
        if token and case.operation.definition.raw.get("security"):
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """An application is about whoever sends it: their phone stands in place of any other one."""
    contact = case.body.get("contact") if isinstance(case.body, dict) else None
    if SIGNED_IN and isinstance(contact, dict) and PHONE.match(str(contact.get("phone_number"))):
        contact["phone_number"] = contract.phone


@schemathesis.hook
def after_call(context, case, response):
    counted["requests"] += 1
    counted["accepted"] += response.status_code < 400
    answered[case.operation.label][response.status_code] += 1
    if contract.ends_session(case.method, case.operation.path, response.status_code):
        Signed.token = None


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Takes every failure for one, and counts it: by the groups of their codes, and ours."""
    if isinstance(failure, Refused):
        counted["refused"] += 1
    elif response is not None and response.status_code >= 500 and failure.code != "ST103":
        counted["server errors"] += 1
    else:
        counted["undocumented"] += 1
    return True


class Refused(Failure):
    """A request that the description allows, refused as invalid."""

    kind_title = "A valid request is refused as invalid"


class Undescribed(Failure):
    """A header that the description does not have."""

    kind_title = "A header is not described"


def depends_on_more(case, invalid):
    """Refusals that the description announces in words, because a schema cannot say them."""
    text = json.dumps(invalid)
    return (
        # Which hosts links may lead to, an operator says.
        "redirect_hosts" in text
        # And to which pages of applications providers may send people back.
        or "is not one that is allowed" in text
        # Whom an application is about is who sends it; and on which day.
        or "must be the phone number you signed in with" in text
        or "must not be in the future" in text
        # What a free document must not hold, however deep; and how much a body may hold in all.
        or "of more digits than can be kept exactly" in text
        or "must not contain NUL characters" in text
        or "is too large" in text
        # Of which type the identifiers of a database are, whoever made it says.
        or set((invalid.get("query") or {"": 0})) <= {"user_id", "users_id", "session_id"}
        # Whoever proves anew who they are does so in one way.
        or "must be sent alone" in text
        or "must not be sent together with a code" in text
        # What a field of an application allows depends on others.
        or "needs at least one redirect URI" in text
        or "a public client" in text
        # What is sent twice is the same.
        or "must be the same as credential.rawId" in text
        # Documents come with a GET, too, for which a description has no body.
        or (case.method == "GET" and case.operation.path.endswith("/account/kyc"))
    )


@schemathesis.check
def valid_requests_are_accepted(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return None
    try:
        body = response.json()
    except ValueError:
        return None
    invalid = contract.invalid(response.status_code, body)
    if invalid and not depends_on_more(case, invalid):
        raise Refused(operation=case.operation.label, message=json.dumps(invalid))
    return None


@schemathesis.check
def headers_are_described(ctx, response, case):
    # The long run sends OPTIONS, too, which is answered by CORS for all operations and described by none.
    if response.request.method == "OPTIONS":
        return None
    responses = case.operation.definition.raw.get("responses", {})
    answer = responses.get(str(response.status_code))
    if answer is None:
        return None
    root = case.operation.schema.raw_schema
    while "$ref" in answer:
        answer = root
        for key in responses[str(response.status_code)]["$ref"].removeprefix("#/").split("/"):
            answer = answer[key]
    described = {name.lower() for name in answer.get("headers", {})}
    unknown = {name.lower() for name in response.headers} - described - USUAL_HEADERS
    if unknown:
        raise Undescribed(operation=case.operation.label, message=", ".join(sorted(unknown)))
    return None
