"""An authenticator app made of other people's code: photographs a QR code and shows what it then says.

Standard input: {"picture": "data:image/png;base64,...", "at": <seconds since the epoch>}
Standard output: {"issuer": ..., "name": ..., "code": ...}
"""

import base64
import json
import struct
import sys
import zlib

import pyotp
import zxingcpp


def pixels(png):
    """The rows of a grayscale picture of eight bits, each a bytearray (PNG specification, sections 5 and 9)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, width, height = 8, b"", 0, 0
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        chunk = png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", chunk[:10])
            assert (depth, color) == (8, 0)
        elif kind == b"IDAT":
            packed += chunk
        place += length + 12
    lines, before = zlib.decompress(packed), bytearray(width)
    for number in range(height):
        line = lines[number * (width + 1) : (number + 1) * (width + 1)]
        row = bytearray(line[1:])
        for x in range(width):
            left = row[x - 1] if x else 0
            above, corner = before[x], before[x - 1] if x else 0
            guess = left + above - corner
            paeth = min((left, above, corner), key=lambda near: abs(guess - near))
            row[x] = (row[x] + [0, left, above, (left + above) // 2, paeth][line[0]]) & 255
        yield row
        before = row


asked = json.load(sys.stdin)
rows = list(pixels(base64.b64decode(asked["picture"].removeprefix("data:image/png;base64,"))))
image = memoryview(b"".join(bytes(row) for row in rows)).cast("B", (len(rows), len(rows[0])))
[found] = zxingcpp.read_barcodes(image)
app = pyotp.parse_uri(found.text)
json.dump({"issuer": app.issuer, "name": app.name, "secret": app.secret, "code": app.at(asked["at"])}, sys.stdout)
