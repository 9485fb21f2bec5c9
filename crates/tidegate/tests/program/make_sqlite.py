"""A SQLite file of another program."""

import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as database:
    database.execute("create table notes (text)")
    database.execute("insert into notes values ('Dear Ada')")
