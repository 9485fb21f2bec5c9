"""Values and conditions of queries made by chance."""

import datetime
import re
from decimal import Decimal

COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]
WHOLE = re.compile(r"-?\d{1,9}")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def not_negative_zero(number):
    return f"({number} + cast(0 as double))"


class Values:
    """Writes expressions of columns in scope."""

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

    def alias(self):
        self.aliases += 1
        return f"t{self.aliases}"

    def source(self):
        """One relation: how it stands behind FROM, and its scope."""
        relation = self.chance.one(list(self.relations.values()))
        alias = self.alias()
        return f"{relation.name} {alias}", relation.scope(alias), [f"{alias}.{name}" for name in relation.key]

    def wanted(self, kind):
        return [column for column in self.scope if column.kind == kind]

    def kind(self):
        """A kind, columns of the scope more often than others."""
        if self.scope and self.chance.maybe(3, 4):
            return self.chance.one(self.scope).kind
        return self.chance.one(["int", "float", "text", "boolean", "date"])

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
            lambda: not_negative_zero(f"{self.value('float')} * cast({chance.below(9)} as double)"),
            lambda: not_negative_zero(f"{self.value('float')} / nullif({self.value('float')}, cast(0 as double))"),
            lambda: f"cast({self.value('int')} as double)",
            lambda: f"cast({self.value('decimal')} as double)",
            lambda: not_negative_zero(f"{chance.one(['abs', 'floor', 'ceil', 'round'])}({self.value('float')})"),
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


class Conditions(Values):
    """Writes conditions."""

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
