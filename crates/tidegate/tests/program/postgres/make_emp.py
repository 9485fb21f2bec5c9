"""A SQLite file with rows that some people must not see."""

import sqlite3
import sys

with sqlite3.connect(sys.argv[1]) as database:
    database.execute("create table emp (id integer primary key, region text, ssn text, note text)")
    database.execute(
        "insert into emp values (1, 'EU', '123-45-6789', 'fine'), (2, 'US', '987-65-4321', 'SECRET-2'), "
        "(3, 'EU', '111-22-3333', 'fine')"
    )
