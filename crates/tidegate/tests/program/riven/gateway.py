"""Checks a message as docs/operations.md tells the operators of gateways to.

    gateway.py DOCUMENTATION SECRET HEADER <BODY

Runs the documentation's own code. Exits with 0 when the message is Tidegate's, with 3 when it is not.
"""

import re
import sys

documentation, secret, header = sys.argv[1:]
with open(documentation, encoding="utf-8") as file:
    blocks = re.findall(r"```python\n(.*?)```", file.read(), re.S)
[code] = [block for block in blocks if "def is_tidegates" in block]
names = {}
exec(code, names)
sys.exit(0 if names["is_tidegates"](secret, header, sys.stdin.buffer.read()) else 3)
