"""What the databases' descriptions share: short forms for tables, and names and days to draw from."""
import datetime

TODAY = datetime.date(2025, 6, 18)
FIRST = ("Anna", "Ben", "Clara", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Katya", "Liam", "Mina", "Noah", "Olga",
         "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wim", "Xenia", "Yusuf", "Zoe")
LAST = ("Abel", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Horvat", "Ivanov", "Jansen", "Kowalski", "Lindqvist",
        "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Schmidt", "Tanaka", "Ueda", "Vogel", "Weber", "Yilmaz", "Zimmer")


def column(name, kind, comment=None, nullable=False):
    """One column."""
    return {"name": name, "type": kind, "comment": comment, "nullable": nullable}


def table(name, columns, foreign=(), comment=None):
    """One table; its first column is the key. `foreign`: (column, table, column there)."""
    return {"name": name, "comment": comment, "columns": columns, "primary_key": [columns[0]["name"]],
            "foreign_keys": [{"column": c, "table": t, "references": r} for c, t, r in foreign]}


def day(chance, start, end=TODAY):
    """A day between two days, both possible."""
    return start + datetime.timedelta(days=int(chance.random() * ((end - start).days + 1)))


def moment(chance, date, first=0, last=24):
    """A second of that day, from hour `first` to before hour `last`."""
    second = first * 3600 + int(chance.random() * (last - first) * 3600)
    return datetime.datetime.combine(date, datetime.time()) + datetime.timedelta(seconds=second)


def money(amount):
    """An amount with two digits."""
    return round(amount, 2)


def weighted(chance, *pairs):
    """One of the values, each with its weight."""
    at = chance.random() * sum(weight for _, weight in pairs)
    for value, weight in pairs:
        at -= weight
        if at < 0:
            return value
    return pairs[-1][0]


def text(value):
    """How a day or moment is kept."""
    return None if value is None else value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else value.isoformat()


def pick(chance, values):
    """One of the values, all alike."""
    return values[int(chance.random() * len(values))]
