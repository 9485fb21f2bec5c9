"""Verifies tokens with the guide's Python code: `ask.py ISSUER`, one token a line; answers one line of JSON to each."""

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
        print(json.dumps({"claims": verifier.verify(line.strip())}), flush=True)
    except jwt.PyJWTError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
