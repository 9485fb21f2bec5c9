"""Verifies tokens with the guide's Python code: `ask.py ISSUER`, {"token", "scopes", "bound"} a line; answers one line of JSON to each."""

import json
import os
import sys

sys.path.insert(0, os.getcwd())
import jwt
from verify_token import Verifier

verifier = Verifier(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    try:
        asked = json.loads(line)
        claims = verifier.verify(asked.pop("token"), **asked)
        print(json.dumps({"claims": claims}), flush=True)
    except jwt.PyJWTError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
