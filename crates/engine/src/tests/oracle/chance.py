"""Chance, and the relations that queries are made of, as the caller sees them."""

WORD = 2**64 - 1


class Chance:
    """Pseudo-random numbers (SplitMix64) that are the same for every version of Python."""

    def __init__(self, *seeds):
        self.state = 0
        for seed in seeds:
            self.state = (self.state ^ seed) & WORD
            self.state = self.next()

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & WORD
        mixed = self.state
        mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & WORD
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & WORD
        return mixed ^ mixed >> 31

    def below(self, most):
        return self.next() % most

    def one(self, of):
        return of[self.below(len(of))]

    def some(self, of, least=1, most=3):
        """Several of a list, each once, in the order of the list."""
        left = list(of)
        wanted = min(least + self.below(most - least + 1), len(left))
        places = set()
        while len(places) < wanted:
            places.add(self.below(len(left)))
        return [left[place] for place in sorted(places)]

    def maybe(self, times, of):
        return self.below(of) < times


class Column:
    """A column in scope: how it is written, its kind (one word), and values that are seen in it and that are behind it."""

    def __init__(self, sql, kind, seen, raw):
        self.sql, self.kind, self.seen, self.raw = sql, kind, seen, raw


class Relation:
    """A relation as the caller sees it."""

    def __init__(self, name, columns, rows, raw):
        """`raw` has the values behind each column, by name."""
        self.name = name
        self.rows = len(rows)
        self.columns = {}
        for place, (column, kind) in enumerate(columns):
            self.columns[column] = (simple(kind), [row[place] for row in rows], raw[column])
        first = columns[0][0]
        seen = self.columns[first][1]
        # By what rows are told apart; all columns where the first does not.
        self.key = [first] if len(set(seen)) == len(seen) and None not in seen else list(self.columns)

    def scope(self, alias):
        return [Column(f"{alias}.{name}", *rest) for name, rest in self.columns.items()]


def simple(kind):
    for name, start in (("int", "int"), ("int", "uint"), ("float", "float"), ("decimal", "decimal")):
        if kind.startswith(start):
            return name
    return kind
