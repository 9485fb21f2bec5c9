import sys
import zlib

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def is_token(text):
    """Whether the text has the form and the checksum of a personal access token."""
    random, checksum = text[4:44], text[44:]
    if not text.startswith("pat_") or len(checksum) != 6 or any(c not in DIGITS for c in random):
        return False
    rest, digits = zlib.crc32(random.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = DIGITS[digit] + digits
    return digits == checksum


if __name__ == "__main__":
    sys.exit(0 if is_token(sys.argv[1]) else 1)
