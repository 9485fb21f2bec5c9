"""Queries made by chance that mean the same in the SQL of Tidegate's engine and in DuckDB's.

What the two dialects say differently is not written here but in its common form; AVOIDED in differences.py has the list.
"""

import re

from chance import Column
from values import COMPARISONS, Conditions


def lists_one_thing_twice(sql):
    """Whether a condition may have two lists of the same expression, which may exclude one another."""
    found = re.search(r" (where|on|having|qualify) ", sql)
    listed = re.findall(r"([\w.]+\)*) (?:not )?in \('?[^s(]", sql[found.start() :]) if found else []
    return len(listed) != len(set(listed))


class Writer(Conditions):
    """Writes one query over the relations of a world."""

    def query(self):
        """(SQL, whether its order counts)."""
        shapes = [
            self.plain, self.plain, self.joined, self.joined, self.grouped, self.grouped, self.totals, self.windowed,
            self.windowed, self.sets, self.common, self.distinct, self.derived, self.of_all, self.using, self.ranked,
        ]
        while True:
            written = (self.failing(), False) if self.chance.maybe(1, 25) else self.chance.one(shapes)()
            if not lists_one_thing_twice(written[0]):
                return written

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

    def using(self):
        """A join by columns of one name, which are one column of it."""
        left, right = self.chance.one(list(self.relations.values())), self.chance.one(list(self.relations.values()))
        kinds = {name: kind for name, (kind, _, _) in left.columns.items() if right.columns.get(name, ("",))[0] == kind}
        names = [name for name, kind in kinds.items() if kind in ("int", "text", "date")]
        if not names:
            return self.joined()
        name = self.chance.one(names)
        one, other = self.alias(), self.alias()
        self.scope = [column for column in left.scope(one) + right.scope(other) if not column.sql.endswith(f".{name}")]
        outputs = [(name, "k0", kinds[name]), *self.outputs(1, 3)]
        kind = self.chance.one(["join", "left join"])
        text = f"{left.name} {one} {kind} {right.name} {other} using ({name})"
        end, ordered = self.ending(len(outputs))
        return f"select {self.listed(outputs)} from {text}{self.where(2)}{end}", ordered

    def ranked(self):
        """Windows over groups."""
        text, self.scope, _ = self.source() if self.chance.maybe(2, 3) else self.join()
        keys = list(dict.fromkeys(column.sql for column in self.chance.some(self.scope, 1, 2)))
        total = self.chance.one(["count(*)", f"max({self.value('int')})", f"count(distinct {self.value('text')})"])
        over = f"order by {total} {self.nulls()}"
        window = self.chance.one(["rank()", "dense_rank()", f"sum({total})", f"max({total})", "percent_rank()"])
        parted = f"partition by {keys[0]} " if len(keys) > 1 and self.chance.maybe(1, 2) else ""
        outputs = [(key, f"k{place}", "key") for place, key in enumerate(keys)]
        outputs += [(total, "a0", "int"), (f"{window} over ({parted}{over})", "w0", "window")]
        return f"select {self.listed(outputs)} from {text}{self.where(2)} group by {', '.join(keys)}", False

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
