"""A SQLite file, made by the statements that come in."""

import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as database:
    database.executescript(sys.stdin.read())
