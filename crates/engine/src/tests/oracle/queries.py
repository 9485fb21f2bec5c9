"""Queries made by chance that mean the same in the SQL of Tidegate's engine and in DuckDB's.

What the two dialects say differently is not written here but in its common form; AVOIDED in differences.py has the list.
"""

import datetime
import re
from decimal import Decimal

WORD = 2**64 - 1
COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]
WHOLE = re.compile(r"-?\d{1,9}")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


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


class Writer:
    """Writes one query over the relations of a world."""

    def __init__(self, chance, relations, hidden, denied):
        """`hidden` has (relation, column) that policies take away, `denied` relations."""
        self.chance, self.relations, self.hidden, self.denied = chance, relations, hidden, denied
        self.depth = 0
        self.aliases = 0
        self.scope = []
        # Where subqueries may be: IN and EXISTS, and those that give one value.
        self.subqueries = self.scalars = False
        # Whether the condition that is written is the whole one, and whether it is within NOT.
        self.whole = self.negated = False
        self.has_strings = False

    def query(self):
        """(SQL, whether its order counts)."""
        shapes = [
            self.plain, self.plain, self.joined, self.joined, self.grouped, self.grouped, self.totals, self.windowed,
            self.windowed, self.sets, self.common, self.distinct, self.derived, self.of_all,
        ]
        if self.chance.maybe(1, 25):
            return self.failing(), False
        return self.chance.one(shapes)()

    # Parts of queries.

    def alias(self):
        self.aliases += 1
        return f"t{self.aliases}"

    def source(self):
        """One relation: how it stands behind FROM, and its scope."""
        relation = self.chance.one(list(self.relations.values()))
        alias = self.alias()
        return f"{relation.name} {alias}", relation.scope(alias), [f"{alias}.{name}" for name in relation.key]

    def where(self, times=2, text=""):
        """`text` is what stands behind FROM."""
        if not self.chance.maybe(times, 4):
            return ""
        fragile = self.fragile(text) if text and self.chance.maybe(1, 3) else None
        if fragile:
            return f" where {fragile}"
        outside = self.subqueries, self.negated
        self.subqueries, self.negated, self.whole = True, False, True
        made = f" where {self.condition()}"
        self.subqueries, self.negated = outside
        return made

    def outputs(self, least=1, most=4):
        """Several values of any kind with names."""
        made = []
        for place in range(least + self.chance.below(most - least + 1)):
            kind = self.kind()
            made.append((self.value(kind), f"c{place}", kind))
        return made

    @staticmethod
    def listed(outputs):
        return ", ".join(f"{sql} as {name}" for sql, name, _ in outputs)

    def nulls(self):
        return f"{self.chance.one(['asc', 'desc'])} nulls {self.chance.one(['first', 'last'])}"

    def ending(self, width):
        """ORDER BY all columns, so that rows that are equal there are equal altogether, and LIMIT. (Text, whether order counts)."""
        if not self.chance.maybe(1, 3):
            return "", False
        order = ", ".join(f"{place + 1} {self.nulls()}" for place in range(width))
        limit = f" limit {self.chance.below(12)}" if self.chance.maybe(1, 2) else ""
        offset = f" offset {self.chance.below(5)}" if limit and self.chance.maybe(1, 3) else ""
        return f" order by {order}{limit}{offset}", True

    def wanted(self, kind):
        return [column for column in self.scope if column.kind == kind]

    def kind(self):
        """A kind, columns of the scope more often than others."""
        if self.scope and self.chance.maybe(3, 4):
            return self.chance.one(self.scope).kind
        return self.chance.one(["int", "float", "text", "boolean", "date"])

    # Shapes.

    def plain(self):
        text, self.scope, _ = self.source()
        self.scalars = True
        outputs = self.outputs()
        self.scalars = False
        end, ordered = self.ending(len(outputs))
        return f"select {self.listed(outputs)} from {text}{self.where(2, text)}{end}", ordered

    def distinct(self):
        text, self.scope, _ = self.source()
        outputs = self.outputs(1, 3)
        end, ordered = self.ending(len(outputs))
        return f"select distinct {self.listed(outputs)} from {text}{self.where(2, text)}{end}", ordered

    def of_all(self):
        """All columns, so that what is taken away is not there."""
        text, self.scope, keys = self.source()
        order = f" order by {', '.join(f'{key} {self.nulls()}' for key in keys)}" if self.chance.maybe(1, 2) else ""
        return f"select * from {text}{self.where(2, text)}{order}", bool(order)

    def on(self, left, right):
        """A condition of a join: an equality of columns of a kind, and something else."""
        pairs = [(a, b) for a in left for b in right if a.kind == b.kind and a.kind in ("int", "text", "date")]
        outside, self.scope = self.scope, left + right
        if pairs and self.chance.maybe(5, 6):
            one, other = self.chance.one(pairs)
            keyed = [pair for pair in pairs if pair[0].kind == "int"]
            if keyed and self.chance.maybe(1, 2):
                one, other = self.chance.one(keyed)
            made = f"{one.sql} = {other.sql}"
            if self.chance.maybe(1, 3):
                made += f" and {self.condition()}"
        else:
            made = self.compare()
        self.scope = outside
        return made

    def join(self):
        """Two or three relations: (text, scope, keys)."""
        text, scope, keys = self.source()
        for _ in range(1 + self.chance.maybe(1, 4)):
            other, columns, more = self.source()
            kind = self.chance.one(["join", "left join", "right join", "full join", "left join", "join", "cross join"])
            if kind == "cross join" and len(keys) > 1:
                kind = "join"
            text += f" {kind} {other}" + ("" if kind == "cross join" else f" on {self.on(scope, columns)}")
            scope, keys = scope + columns, keys + more
        return text, scope, keys

    def joined(self):
        text, self.scope, _ = self.join()
        outputs = self.outputs(1, 5)
        end, ordered = self.ending(len(outputs))
        return f"select {self.listed(outputs)} from {text}{self.where(2, text)}{end}", ordered

    def aggregate(self):
        """(SQL, kind) of an aggregate of the scope."""
        chance = self.chance
        kind = chance.one(["count", "int", "int", "float", "decimal", "text", "date", "boolean", "spread", "strings"])
        distinct = "distinct " if chance.maybe(1, 5) else ""
        made = {
            "count": lambda: (chance.one(["count(*)", f"count({distinct}{self.value(self.kind())})"]), "int"),
            "int": lambda: (f"{chance.one(['sum', 'min', 'max'])}({distinct}{self.value('int')})", "int"),
            "float": lambda: (f"{chance.one(['sum', 'min', 'max', 'avg'])}({self.value('float')})", "float"),
            "decimal": lambda: (f"{chance.one(['sum', 'min', 'max'])}({self.value('decimal')})", "decimal"),
            "text": lambda: (f"{chance.one(['min', 'max'])}({self.value('text')})", "text"),
            "date": lambda: (f"{chance.one(['min', 'max'])}({self.value('date')})", "date"),
            "boolean": lambda: (f"{chance.one(['bool_and', 'bool_or'])}({self.condition()})", "boolean"),
            "spread": lambda: (f"{chance.one(['var_pop', 'stddev_pop', 'median'])}({self.value('float')})", "spread"),
            "strings": lambda: self.strings(),
        }[kind]()
        if chance.maybe(1, 5) and kind != "strings":
            return f"{made[0]} filter (where {self.condition()})", made[1]
        return made

    def strings(self):
        columns = self.wanted("text")
        if not columns or self.has_strings:
            return "count(*)", "int"
        # Here one query has one order of what is aggregated.
        self.has_strings = True
        column = self.chance.one(columns).sql
        return f"string_agg({column}, ',' order by {column})", "text"

    def grouped(self):
        text, self.scope, _ = self.source() if self.chance.maybe(2, 3) else self.join()
        keys = [self.value(kind) for kind in (self.kind() for _ in range(1 + self.chance.below(2))) if kind != "float"]
        keys = list(dict.fromkeys(key for key in keys if re.search(r"\bt\d", key))) or ["t1." + next(iter(self.first()))]
        named = [(key, f"k{place}", "key") for place, key in enumerate(keys)]
        totals = [(*self.aggregate(), f"a{place}") for place in range(1 + self.chance.below(3))]
        having = ""
        if self.chance.maybe(1, 3):
            sql, kind = self.aggregate()
            is_int = kind == "int"
            having = f" having {sql} {self.chance.one(COMPARISONS)} {self.literal('int')}" if is_int else f" having {sql} is not null"
        where = self.where(2, text)
        plural = self.chance.below(8)
        group = ", ".join(keys)
        if any(not re.fullmatch(r"t\d+\.\w+", key) for key in keys):
            plural = -1
        if plural == 0:
            group = f"rollup({group})"
        elif plural == 1:
            group = f"cube({group})"
        elif plural == 2 and len(keys) == 2:
            group = f"grouping sets (({keys[0]}, {keys[1]}), ({keys[1]}), ())"
        outputs = named + [(sql, name, kind) for sql, kind, name in totals]
        end, ordered = self.ending(len(outputs)) if all(kind not in ("float", "spread") for _, _, kind in outputs) else ("", False)
        return f"select {self.listed(outputs)} from {text}{where} group by {group}{having}{end}", ordered

    def first(self):
        """The name of the first column of the scope, as a list."""
        return [self.scope[0].sql.partition(".")[2]]

    def totals(self):
        text, self.scope, _ = self.source() if self.chance.maybe(2, 3) else self.join()
        totals = [(*self.aggregate(), f"a{place}") for place in range(1 + self.chance.below(4))]
        return f"select {', '.join(f'{sql} as {name}' for sql, _, name in totals)} from {text}{self.where(2, text)}", False

    def windowed(self):
        chance = self.chance
        text, self.scope, keys = self.source() if chance.maybe(3, 4) else self.join()
        total = ", ".join(f"{key} {self.nulls()}" for key in keys)
        by = [column.sql for column in chance.some(self.scope, 1, 2)]
        parted = f"partition by {', '.join(by)} " if chance.maybe(2, 3) else ""
        windows = []
        for place in range(1 + chance.below(2)):
            # Of an order with ties, only what is the same for all of them.
            tied = f"{chance.one(self.scope).sql} {self.nulls()}"
            value = self.value(chance.one(["int", "text", "date"]))
            number = self.value("int")
            frame = chance.one([
                "", " rows between unbounded preceding and current row", " rows between 2 preceding and 1 following",
                " rows between current row and unbounded following",
            ])
            sql = chance.one([
                f"row_number() over ({parted}order by {total})",
                f"{chance.one(['rank()', 'dense_rank()', 'percent_rank()', 'cume_dist()'])} over ({parted}order by {tied})",
                f"ntile({chance.below(4) + 1}) over ({parted}order by {total})",
                f"{chance.one(['lag', 'lead'])}({value}, {chance.below(3)}) over ({parted}order by {total})",
                f"{chance.one(['first_value', 'last_value'])}({value}) over ({parted}order by {total}{frame})",
                f"nth_value({value}, {chance.below(3) + 1}) over ({parted}order by {total}{frame})",
                f"{chance.one(['sum', 'min', 'max', 'count'])}({number}) over ({parted}order by {total}{frame})",
                f"{chance.one(['sum', 'min', 'max', 'count'])}({number}) over ({parted}order by {tied})",
                f"{chance.one(['min', 'max', 'count'])}({value}) over ({parted.strip()})",
                f"avg({self.value('float')}) over ({parted.strip()})",
            ])
            windows.append((sql, f"w{place}", "window"))
        outputs = [(key, f"k{place}", "key") for place, key in enumerate(keys)] + windows
        qualify = ""
        if chance.maybe(1, 6):
            qualify = f" qualify row_number() over ({parted}order by {total}) <= {chance.below(4)}"
        return f"select {self.listed(outputs)} from {text}{self.where(2, text)}{qualify}", False

    def sets(self):
        kinds = [self.chance.one(["int", "text", "date", "boolean"]) for _ in range(1 + self.chance.below(2))]
        parts = []
        for _ in range(2 + self.chance.maybe(1, 3)):
            text, self.scope, _ = self.source()
            listed = ", ".join(f"{self.value(kind)} as c{place}" for place, kind in enumerate(kinds))
            parts.append(f"select {listed} from {text}{self.where()}")
        made = parts[0]
        for part in parts[1:]:
            made = f"({made}) {self.chance.one(['union', 'union all', 'intersect', 'except'])} ({part})"
        end, ordered = self.ending(len(kinds))
        return f"select * from ({made}) u{end}", ordered

    def inner(self):
        """A query for FROM: (SQL, its outputs)."""
        outside, self.scope = self.scope, []
        text, self.scope, _ = self.source() if self.chance.maybe(3, 4) else self.join()
        if self.chance.maybe(1, 3):
            keys = list(dict.fromkeys(column.sql for column in self.chance.some(self.scope, 1, 2)))
            kinds = {column.sql: column.kind for column in self.scope}
            outputs = [(key, f"c{place}", kinds[key]) for place, key in enumerate(keys)]
            sql, kind = self.aggregate()
            outputs.append((sql, f"c{len(keys)}", kind))
            made = f"select {self.listed(outputs)} from {text}{self.where()} group by {', '.join(keys)}"
        else:
            outputs = self.outputs(2, 4)
            made = f"select {self.listed(outputs)} from {text}{self.where()}"
        self.scope = outside
        return made, outputs

    def columns_of(self, alias, outputs):
        return [Column(f"{alias}.{name}", kind, [], []) for _, name, kind in outputs if kind not in ("float", "spread")]

    def common(self):
        made, outputs = self.inner()
        one, other = self.alias(), self.alias()
        left, right = self.columns_of(one, outputs), self.columns_of(other, outputs)
        if not left:
            return self.plain()
        if self.chance.maybe(1, 2):
            self.scope = left
            text = f"w {one}"
        else:
            kind = self.chance.one(["join", "left join", "full join"])
            text = f"w {one} {kind} w {other} on {self.on(left, right)}"
            self.scope = left + right
        values = self.outputs(1, 3)
        return f"with w as ({made}) select {self.listed(values)} from {text}{self.where(2)}", False

    def derived(self):
        made, outputs = self.inner()
        alias = self.alias()
        self.scope = self.columns_of(alias, outputs)
        if not self.scope:
            return self.plain()
        values = self.outputs(1, 3)
        end, ordered = self.ending(len(values))
        return f"select {self.listed(values)} from ({made}) {alias}{self.where(2)}{end}", ordered

    def failing(self):
        """Fails for certain, or does not exist for this person."""
        chance = self.chance
        if self.hidden and chance.maybe(1, 2):
            relation, column = chance.one(self.hidden)
            return chance.one([
                f"select t1.{column} from {relation} t1", f"select count(*) from {relation} t1 where t1.{column} is null",
                f"select 1 as c0 from {relation} t1 order by t1.{column} nulls last",
            ])
        if self.denied and chance.maybe(1, 2):
            relation = chance.one(self.denied)
            return chance.one([f"select * from {relation} t1", f"select 1 as c0 where exists (select 1 from {relation} t1)"])
        for relation in self.relations.values():
            for name, (kind, seen, _) in relation.columns.items():
                if kind == "text" and any(value and re.match("[^\\d\\s+.-]", value) for value in seen):
                    return f"select {chance.one(['', 'max'])}(cast(t1.{name} as bigint)) as c0 from {relation.name} t1"
        return "select t1.nothing from nowhere t1"

    # Conditions.

    def condition(self):
        chance = self.chance
        self.depth += 1
        whole, self.whole = self.whole, False
        choices = 8 if self.depth > 3 else 14 if self.subqueries else 11
        made = [
            self.compare, self.compare, self.compare, lambda: f"{self.value(self.kind())} is {chance.one(['', 'not '])}null",
            self.listed_in, self.between, self.like, self.truth,
            lambda: f"({self.condition()} and {self.condition()})", lambda: f"({self.condition()} or {self.condition()})",
            self.opposite, self.exists, lambda: self.in_query(whole), self.scalar_compared,
        ][chance.below(choices)]()
        self.depth -= 1
        return made

    def opposite(self):
        outside, self.negated = self.negated, True
        made = f"not ({self.condition()})"
        self.negated = outside
        return made

    def compare(self):
        kind = self.kind()
        if kind == "boolean":
            return self.truth()
        sign = self.chance.one([*COMPARISONS, "=", "is distinct from", "is not distinct from"])
        if self.chance.maybe(2, 3):
            columns = self.wanted(kind)
            if columns:
                column = self.chance.one(columns)
                return f"({column.sql} {sign} {self.literal(kind, column)})"
        # In brackets: IS DISTINCT FROM takes all that follows it here.
        return f"({self.value(kind)} {sign} {self.value(kind)})"

    def listed_in(self):
        kind = self.chance.one(["int", "text", "date"])
        columns = self.wanted(kind)
        column = self.chance.one(columns) if columns else None
        tested = column.sql if column else self.value(kind)
        items = [self.literal(kind, column) for _ in range(1 + self.chance.below(4))]
        if self.chance.maybe(1, 8):
            items.append("null")
        return f"{tested} {self.chance.one(['', 'not '])}in ({', '.join(items)})"

    def between(self):
        kind = self.chance.one(["int", "date", "text", "float"])
        return f"{self.value(kind)} {self.chance.one(['', 'not '])}between {self.literal(kind)} and {self.literal(kind)}"

    def like(self):
        columns = self.wanted("text")
        column = self.chance.one(columns) if columns else None
        word = self.word(column).replace("%", "").replace("_", "")[: 1 + self.chance.below(5)].replace("'", "''")
        pattern = self.chance.one([f"{word}%", f"%{word}%", f"%{word}", f"_{word[1:]}%", f"{word}_"])
        operator = self.chance.one(["like", "not like", "ilike"])
        return f"{column.sql if column else self.value('text')} {operator} '{pattern}'"

    def truth(self):
        columns = self.wanted("boolean")
        if columns and self.chance.maybe(1, 2):
            return f"{self.chance.one(columns).sql} {self.chance.one(['= true', '= false', 'is not null'])}"
        return self.chance.one([f"starts_with({self.value('text')}, {self.literal('text')})", f"{self.value('int')} > {self.literal('int')}"])

    def subquery(self):
        """A relation, its scope, and the scope around it."""
        self.scalars, outside = False, self.scope
        text, columns, _ = self.source()
        return outside, text, columns

    def correlation(self, inside, outside):
        pairs = [(a, b) for a in inside for b in outside if a.kind == b.kind and a.kind in ("int", "text")]
        if not pairs or self.chance.maybe(1, 4):
            return ""
        one, other = self.chance.one(pairs)
        return f"{one.sql} = {other.sql}"

    def exists(self):
        outside, text, columns = self.subquery()
        parts = [self.correlation(columns, outside)]
        self.scope = columns
        parts.append(self.condition())
        self.scope = outside
        return f"{self.chance.one(['', 'not '])}exists (select 1 from {text} where {' and '.join(part for part in parts if part)})"

    def in_query(self, whole):
        kind = self.chance.one(["int", "text"])
        columns = self.wanted(kind)
        negation = self.chance.one(["", "", "not "])
        # Where it makes a difference whether it is false or unknown, and it is not the whole condition, there is no NULL.
        no_null = self.negated or (negation and not (whole and columns))
        tested = self.chance.one(columns).sql if columns and not no_null else self.value(kind)
        if no_null:
            tested = f"coalesce({tested}, {self.literal(kind)})"
        outside, text, columns = self.subquery()
        self.scope = columns
        listed = self.value(kind)
        where = f" where {listed} is not null" if no_null else self.where()
        self.scope = outside
        return f"{tested} {negation}in (select {listed} from {text}{where})"

    def scalar(self, kind):
        """A subquery that gives one value."""
        outside, text, columns = self.subquery()
        correlation = self.correlation(columns, outside)
        self.scope = columns
        if kind == "int":
            made = self.chance.one(["count(*)", f"max({self.value('int')})", f"sum({self.value('int')})"])
        else:
            made = f"{self.chance.one(['min', 'max'])}({self.value(kind)})"
        where = f" where {correlation}" if correlation else self.where()
        self.scope = outside
        return f"(select {made} from {text}{where})"

    def scalar_compared(self):
        kind = self.chance.one(["int", "text", "date"])
        return f"{self.value(kind)} {self.chance.one(COMPARISONS)} {self.scalar(kind)}"

    def fragile(self, text):
        """A condition that fails on rows that the caller does not see, and on no other; None if there is none.

        It stands alone, and is of columns that no join compares: engines carry a condition over an equality to the other side.
        """
        chance = self.chance
        made = []
        for column in self.scope:
            if not column.raw or re.search(rf"{re.escape(column.sql)}\b", text):
                continue
            seen = [value for value in column.seen if value is not None]
            sign = chance.one(COMPARISONS)
            if column.kind == "text" and all(WHOLE.fullmatch(value) for value in seen):
                made.append(f"cast({column.sql} as bigint) {sign} {chance.below(300)}")
            elif column.kind == "text" and all(DAY.fullmatch(value) for value in seen):
                made.append(f"cast({column.sql} as date) {sign} date '2015-06-01'")
            elif column.kind == "int":
                out = sorted({value for value in column.raw if value is not None} - set(seen))
                if out:
                    made.append(f"{chance.below(50)} % ({column.sql} - {chance.one(out)}) {sign} {chance.below(3)}")
        if not made:
            return None
        return f" {chance.one(['and', 'or'])} ".join(chance.some(made, 1, 2))

    # Values.

    def word(self, column=None):
        columns = [column] if column else self.wanted("text")
        of = self.chance.one(columns) if columns else None
        values = [value for value in (of.raw + of.seen if of else []) if value]
        return self.chance.one(values) if values else self.chance.one(["EU", "lab", "a", "SECRET", "***", "7", "Zo\u00eb"])

    def literal(self, kind, column=None):
        """A literal, of a value that is seen or hidden where there is one."""
        chance = self.chance
        columns = [column] if column else self.wanted(kind)
        of = chance.one(columns) if columns else None
        values = [value for value in (of.raw + of.seen if of else []) if value is not None]
        value = chance.one(values) if values and chance.maybe(2, 3) else None
        if kind == "int":
            return str(value if value is not None else chance.below(60))
        if kind == "float":
            return f"cast({value if value is not None else chance.below(80) / 4} as double)"
        if kind == "decimal":
            return f"cast('{value if value is not None else Decimal(chance.below(50_000)) / 100}' as decimal(12,2))"
        if kind == "date":
            value = value or datetime.date(2010, 1, 1) + datetime.timedelta(days=chance.below(4_000))
            return f"date '{value}'"
        if kind == "timestamp":
            value = value or datetime.datetime(2020, 1, 1) + datetime.timedelta(minutes=chance.below(900_000))
            return f"timestamp '{value}'"
        if kind == "boolean":
            return chance.one(["true", "false"])
        return "'" + self.word(of).replace("'", "''") + "'"

    def value(self, kind):
        """An expression of a kind."""
        chance = self.chance
        outside, self.subqueries = self.subqueries, False
        if kind == "spread":
            kind = "float"
        self.depth += 1
        columns = self.wanted(kind)
        if columns and (self.depth > 3 or chance.maybe(1, 2)):
            made = chance.one(columns).sql
        elif self.depth > 4:
            made = self.literal(kind)
        elif chance.maybe(1, 6):
            made = self.general(kind)
        else:
            made = getattr(self, f"{kind}_value")()
        self.depth -= 1
        self.subqueries = outside
        return made

    def general(self, kind):
        """What there is for every kind."""
        chance = self.chance
        return chance.one([
            lambda: f"coalesce({self.value(kind)}, {self.value(kind)})",
            lambda: f"nullif({self.value(kind)}, {self.literal(kind)})",
            lambda: self.case(kind, f" else {self.value(kind)}"),
            lambda: self.case(kind, ""),
        ])()

    def case(self, kind, other):
        """CASE of a value that its condition does not look at: whether it can be NULL is not agreed on within the engine."""
        made, condition = self.value(kind), self.condition()
        columns = set(re.findall(r"\bt\d+\.\w+", made))
        if columns & set(re.findall(r"\bt\d+\.\w+", condition)):
            free = [column.sql for column in self.scope if column.sql not in columns]
            condition = f"{self.chance.one(free)} is {self.chance.one(['', 'not '])}null" if free else f"{self.chance.below(2)} = 1"
        return f"case when {condition} then {made}{other} end"

    def int_value(self):
        chance = self.chance
        return chance.one([
            lambda: f"({self.value('int')} {chance.one('+-')} {self.value('int')})",
            lambda: f"({self.value('int')} * {chance.below(5)})",
            lambda: f"({self.value('int')} % nullif({self.value('int')}, 0))",
            lambda: f"abs({self.value('int')})",
            lambda: f"-{self.value('int')}" if chance.maybe(1, 3) else self.value("int"),
            lambda: f"length({self.value('text')})",
            lambda: f"strpos({self.value('text')}, {self.literal('text')})",
            lambda: f"extract({chance.one(['year', 'month', 'day', 'quarter', 'week', 'doy', 'dow'])} from {self.value('date')})",
            lambda: f"cast(floor({self.value('float')}) as bigint)",
            lambda: f"{chance.one(['greatest', 'least'])}({self.value('int')}, {self.value('int')})",
            lambda: f"try_cast({self.column('text')} as bigint)",
            lambda: self.scalar("int") if self.scalars and self.depth < 3 else self.literal("int"),
            lambda: self.literal("int"),
        ])()

    def column(self, kind):
        columns = self.wanted(kind)
        return self.chance.one(columns).sql if columns else self.literal(kind)

    def float_value(self):
        chance = self.chance
        return chance.one([
            lambda: f"({self.value('float')} {chance.one('+-')} {self.value('float')})",
            lambda: f"({self.value('float')} * cast({chance.below(9)} as double))",
            lambda: f"({self.value('float')} / nullif({self.value('float')}, cast(0 as double)))",
            lambda: f"cast({self.value('int')} as double)",
            lambda: f"cast({self.value('decimal')} as double)",
            lambda: f"{chance.one(['abs', 'floor', 'ceil', 'round'])}({self.value('float')})",
            lambda: f"sqrt(abs({self.value('float')}))",
            lambda: self.literal("float"),
        ])()

    def decimal_value(self):
        chance = self.chance
        return chance.one([
            lambda: f"({self.value('decimal')} {chance.one('+-')} {self.value('decimal')})",
            lambda: f"abs({self.value('decimal')})",
            lambda: f"cast({self.value('int')} as decimal(18,2))",
            lambda: self.literal("decimal"),
        ])()

    def text_value(self):
        chance = self.chance
        return chance.one([
            lambda: f"{chance.one(['upper', 'lower', 'reverse', 'trim'])}({self.value('text')})",
            lambda: f"substr({self.value('text')}, {chance.below(5) + 1}, {chance.below(6)})",
            lambda: f"{chance.one(['left', 'right'])}({self.value('text')}, {chance.below(5)})",
            lambda: f"({self.value('text')} || {self.value('text')})",
            lambda: f"concat({self.value('text')}, {self.value('text')})",
            lambda: f"replace({self.value('text')}, '{chance.one(['a', 'e', '-', '1', 'S'])}', '{chance.one(['', 'x', '--'])}')",
            lambda: f"split_part({self.value('text')}, '{chance.one(['-', '@', '.'])}', {chance.below(3) + 1})",
            lambda: f"{chance.one(['lpad', 'rpad'])}({self.value('text')}, {chance.below(9)}, '{chance.one(['*', '.-'])}')",
            lambda: f"cast({self.value(chance.one(['int', 'date', 'boolean']))} as varchar)",
            lambda: f"translate({self.value('text')}, 'abc1', 'xy')",
            lambda: self.scalar("text") if self.scalars and self.depth < 3 else self.literal("text"),
            lambda: self.literal("text"),
        ])()

    def date_value(self):
        chance = self.chance
        return chance.one([
            lambda: f"cast(date_trunc('{chance.one(['year', 'quarter', 'month', 'week'])}', {self.value('date')}) as date)",
            lambda: f"cast({self.value('date')} {chance.one('+-')} interval '{chance.below(40)}' day as date)",
            lambda: f"cast({self.value('date')} + interval '{chance.below(14)}' month as date)",
            lambda: f"cast({self.value('timestamp')} as date)",
            lambda: self.literal("date"),
        ])()

    def timestamp_value(self):
        chance = self.chance
        return chance.one([
            lambda: f"date_trunc('{chance.one(['year', 'month', 'week', 'day', 'hour', 'minute'])}', {self.value('timestamp')})",
            lambda: f"({self.value('timestamp')} + interval '{chance.below(90)}' minute)",
            lambda: f"cast({self.value('date')} as timestamp)",
            lambda: self.literal("timestamp"),
        ])()

    def boolean_value(self):
        return f"({self.condition()})"
