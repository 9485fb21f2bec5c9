"""Policies in plain Python: which rows and columns are left of a relation, and what is shown instead of a value.

Written after the documentation of policies and independent of the engine: nothing of Tidegate's code is used or translated. Values are
Python's: int, float, Decimal, str, bool, date, datetime, and None for NULL.
"""

import datetime
import re
from decimal import Decimal


class Denied(Exception):
    """The relation may not be read, with the reason."""


# Conditions.

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<quoted>\"[^\"]+\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<sign><>|!=|<=|>=|==|[=<>(),]))"
)
_OPERATORS = {"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_FUNCTIONS = {"lower": "text", "upper": "text", "trim": "text", "length": "int64"}


class Condition:
    """A condition, read by recursive descent. `truth(row)` is True, False or None for unknown."""

    def __init__(self, text, kinds, attributes):
        self.kinds = kinds
        self.attributes = attributes
        self.tokens = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if not found:
                raise Denied(f"not a condition: {text!r} at {at}")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self.at = 0
        self.truth = self._or()
        if self.at != len(self.tokens):
            raise Denied(f"not a condition: {text!r}")

    def _peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, "")

    def _take(self, *words):
        """Takes these keywords or signs, all or none."""
        ahead = [text.lower() for kind, text in self.tokens[self.at : self.at + len(words)] if kind in ("word", "sign")]
        if ahead != list(words):
            return False
        self.at += len(words)
        return True

    def _need(self, word):
        if not self._take(word):
            raise Denied(f"{word} is expected")

    def _or(self):
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda row: any3([part(row) for part in parts])

    def _and(self):
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda row: not3(any3([not3(part(row)) for part in parts]))

    def _not(self):
        if self._take("not"):
            inner = self._not()
            return lambda row: not3(inner(row))
        if self._take("("):
            inner = self._or()
            self._need(")")
            return inner
        return self._predicate()

    def _predicate(self):
        left = self._operand()
        kind, sign = self._peek()
        if kind == "sign" and sign in _OPERATORS:
            self.at += 1
            return self._compare(_OPERATORS[sign], left, self._operand())
        if self._take("is", "not", "null"):
            value = self._value(left, None)
            return lambda row: value(row) is not None
        if self._take("is", "null"):
            value = self._value(left, None)
            return lambda row: value(row) is None
        negated = self._take("not")
        made = self._negatable(left)
        return (lambda row: not3(made(row))) if negated else made

    def _negatable(self, left):
        if self._take("in"):
            return self._within(left)
        if self._take("like"):
            kind, text = self._peek()
            if kind != "text":
                raise Denied("a pattern is written out")
            self.at += 1
            pattern = like(unquoted(text))
            value = self._value(left, "text")
            return lambda row: None if value(row) is None else bool(pattern.fullmatch(value(row)))
        if self._take("between"):
            low = self._operand()
            self._need("and")
            high = self._operand()
            above, below = self._compare(">=", left, low), self._compare("<=", left, high)
            return lambda row: not3(any3([not3(above(row)), not3(below(row))]))
        return self._value(left, "boolean")

    def _within(self, left):
        kind = self._kind(left)
        wanted = []
        if self._take("("):
            items = [self._operand()]
            while self._take(","):
                items.append(self._operand())
            self._need(")")
        else:
            items = [self._operand()]
        for what, item in items:
            if what == "attribute":
                several = item if isinstance(item, list) else [item]
                wanted.extend(typed(one, kind, lenient=True) for one in several)
            else:
                wanted.append(typed(item, kind))
        value = self._value(left, kind)
        if not wanted:
            return lambda row: False
        return lambda row: None if value(row) is None else value(row) in wanted

    def _compare(self, operator, left, right):
        kind = self._kind(left) or self._kind(right)
        if kind is None:
            raise Denied("two literals are compared")
        one, other = self._value(left, kind), self._value(right, kind)
        return lambda row: compared(operator, one(row), other(row))

    def _operand(self):
        """What is compared: ('column', name), ('call', name, operand), ('attribute', value), ('literal', value)."""
        kind, text = self._peek()
        self.at += 1
        if kind == "text":
            return "literal", unquoted(text)
        if kind == "number":
            return "literal", Decimal(text)
        if kind == "quoted":
            return "column", self._column(text[1:-1])
        small = text.lower()
        if kind != "word":
            raise Denied("an operand is expected")
        if small in ("true", "false"):
            return "literal", small == "true"
        if small in _FUNCTIONS and self._take("("):
            argument = self._operand()
            self._need(")")
            return "call", (small, argument)
        if small in ("date", "timestamp", "time") and self._peek()[0] == "text":
            self.at += 1
            return "literal", unquoted(self.tokens[self.at - 1][1])
        if small.startswith("current_user_"):
            if small[13:] not in self.attributes:
                raise Denied(f"the person has no attribute {small[13:]}")
            return "attribute", self.attributes[small[13:]]
        return "column", self._column(text)

    def _column(self, name):
        if name in self.kinds:
            return name
        alike = [known for known in self.kinds if known.lower() == name.lower()]
        if len(alike) != 1:
            raise Denied(f"there is no column {name}")
        return alike[0]

    def _kind(self, operand):
        what, value = operand
        return {"column": lambda: self.kinds[value], "call": lambda: _FUNCTIONS[value[0]]}.get(what, lambda: None)()

    def _value(self, operand, kind):
        """A function from a row to the operand's value, of the kind that it is compared with."""
        what, value = operand
        if what == "column":
            if kind is not None and family(self.kinds[value]) != family(kind):
                raise Denied(f"{value} is not compared with {kind}")
            return lambda row: row[value]
        if what == "call":
            name, argument = value
            inner = self._value(argument, "text")
            return lambda row: None if inner(row) is None else called(name, inner(row))
        if isinstance(value, list):
            raise Denied("an attribute of several values is compared with one")
        constant = typed(value, kind, lenient=what == "attribute")
        return lambda row: constant


def not3(truth):
    return None if truth is None else not truth


def any3(truths):
    """OR of SQL: true if one is, else unknown if one is."""
    return True if True in truths else None if None in truths else False


def compared(operator, one, other):
    if one is None or other is None:
        return None
    if isinstance(one, str):
        # By code points, as UTF-8 sorts.
        one, other = one.encode(), other.encode()
    return {
        "=": one == other, "<>": one != other, "<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other,
    }[operator]


def called(name, text):
    return {"lower": text.lower, "upper": text.upper, "trim": lambda: text.strip(" "), "length": lambda: len(text)}[name]()


def like(pattern):
    """The regular expression of a pattern: % any characters, _ one, \\ takes the next as it is."""
    made, characters = "", iter(pattern)
    for character in characters:
        if character == "\\":
            made += re.escape(next(characters))
        else:
            made += {"%": ".*", "_": "."}.get(character) or re.escape(character)
    return re.compile(made, re.DOTALL)


def unquoted(text):
    return text[1:-1].replace("''", "'")


def family(kind):
    """Kinds of one family are compared with each other."""
    return "integer" if kind.startswith(("int", "uint")) else "float" if kind.startswith("float") else kind


def scale_of(kind):
    return int(kind[:-1].split(",")[1])


def typed(value, kind, lenient=False):
    """A literal or an attribute as a value of a kind; Denied if it is none. Attributes may have numbers as text, and text as numbers."""
    wrong = Denied(f"{value!r} is no {kind}")
    if lenient and kind == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    number = None
    if not isinstance(value, bool) and (isinstance(value, (int, float, Decimal)) or (lenient and isinstance(value, str))):
        try:
            number = Decimal(str(value))
        except ArithmeticError:
            pass
    name = family(kind)
    if name == "text" and isinstance(value, str):
        return value
    if name == "boolean" and isinstance(value, bool):
        return value
    if name == "integer" and number is not None and number == int(number):
        return int(number)
    if name == "float" and number is not None:
        return float(number)
    if name.startswith("decimal") and number is not None and number == round(number, scale_of(kind)):
        return round(number, scale_of(kind))
    try:
        if name == "date" and isinstance(value, str):
            return datetime.date.fromisoformat(value)
        if name == "timestamp" and isinstance(value, str):
            return datetime.datetime.fromisoformat(value)
    except ValueError:
        raise wrong from None
    raise wrong


# Masks. Each takes a value that is not NULL, but for those that show the same for everything.

def keyed_hash(data):
    """The keyed hash that the tests give to the engine."""
    digest = [7] * 32
    for place, byte in enumerate(data):
        digest[place % 32] ^= (byte << 3 | byte >> 5) & 255
    return bytes(digest)


def partial(text, character, prefix, suffix):
    hidden = len(text) - prefix - suffix
    if hidden <= 0 or hidden < min(prefix + suffix, 4):
        return character * len(text)
    return text[:prefix] + character * hidden + text[len(text) - suffix :]


def email(text, character):
    local, sign, domain = text.rpartition("@")
    labels = domain.split(".")
    is_domain = len(labels) > 1 and len(domain.encode()) <= 253
    is_domain = is_domain and all(label and all(c.isalnum() or c == "-" for c in label) for label in labels)
    if not sign or not local or not is_domain:
        return character * 8
    return (local[0] if len(local) > 1 else "") + character * 3 + "@" + domain


def replaced(text, pattern, replacement):
    """Replacements name groups as $1 or ${1}."""
    def expand(found):
        return re.sub(r"\$(?:\{(\w+)\}|(\d+))", lambda name: found[int(name[1] or name[2])] or "", replacement)

    return re.sub(pattern, expand, text)


def truncated(value, unit):
    day = value.date() if isinstance(value, datetime.datetime) else value
    starts = {
        "year": day.replace(month=1, day=1),
        "quarter": day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "month": day.replace(day=1),
        "week": day - datetime.timedelta(days=day.weekday()),
    }
    if not isinstance(value, datetime.datetime):
        return starts[unit]
    if unit in starts or unit == "day":
        return datetime.datetime.combine(starts.get(unit, day), datetime.time())
    return value.replace(minute=0 if unit == "hour" else value.minute, second=0, microsecond=0)


def rounded(value, step):
    """To the nearest multiple, halves away from zero."""
    if isinstance(value, float):
        times = abs(value) / step
        whole = int(times)
        whole += times - whole >= 0.5
        return (whole if value >= 0 else -whole) * step + 0.0
    whole, rest = divmod(abs(value), step)
    return (whole + (rest * 2 >= step)) * step * (1 if value >= 0 else -1)


_STRICTNESS = ["null", "constant", "hash", "partial", "email", "regex", "date_truncation", "rounding"]


def mask(config, kind):
    """(how strict, the function from a value to what is shown) of a mask of a column of a kind."""
    name = config["masking_type"]
    character = config.get("mask_char", "*")

    def null_or(strictness, shown):
        return _STRICTNESS.index(strictness), lambda value: None if value is None else shown(value)

    if name in ("full", "redact", "constant"):
        value = {"full": character * 8, "redact": config.get("replacement", "[REDACTED]")}.get(name, config.get("value"))
        try:
            value = typed(value, kind) if name == "constant" or kind == "text" else None
        except Denied:
            value = None
        return (0 if value is None else 1), lambda _: value
    if kind == "text":
        if name == "hash":
            return null_or("hash", lambda text: keyed_hash(text.encode()).hex())
        if name == "partial":
            prefix, suffix = config.get("visible_prefix", 0), config.get("visible_suffix", 0)
            return null_or("partial", lambda text: partial(text, character, prefix, suffix))
        if name == "email":
            return null_or("email", lambda text: email(text, character))
        if name == "regex":
            return null_or("regex", lambda text: replaced(text, config["pattern"], config.get("replacement", character)))
    if name == "date_truncation":
        unit = config.get("unit", "year")
        if kind == "timestamp" or (kind == "date" and unit in ("year", "quarter", "month", "week")):
            return null_or("date_truncation", lambda value: truncated(value, unit))
    if name == "rounding" and (family(kind) in ("integer", "float") or kind.startswith("decimal")):
        try:
            step = typed(config["round_to"], kind)
        except Denied:
            return 0, lambda _: None
        return null_or("rounding", lambda value: rounded(value, step))
    # A mask that does not keep the type shows nothing.
    return 0, lambda _: None


# Relations.

def concerns(config, table):
    named = config.get("table", "*")
    return named == "*" or named.lower() == table.lower()


def visible(table, columns, rows, policies, attributes):
    """Columns and rows that are left of a relation: [(name, kind)], [row as a list]. Denied if it may not be read at all."""
    kinds = dict(columns)
    conditions, masks, hidden = [], {}, set()
    for policy in policies:
        for place, rule in enumerate(policy["rules"]):
            config = rule["config"]
            if not concerns(config, table):
                continue
            if rule["type"] == "filter_rows":
                conditions.append(Condition(config["condition"], kinds, attributes))
            elif rule["type"] == "deny_access":
                if "columns" not in config:
                    raise Denied("by a rule")
                hidden.update(config["columns"])
            elif rule["type"] == "mask_column":
                name = config["column"]
                if name not in kinds:
                    if config["table"] == "*":
                        continue
                    raise Denied(f"there is no column {name}")
                strictness, shown = mask(config, kinds[name])
                masks.setdefault(name, []).append((-policy["priority"], strictness, policy["id"], place, shown))
            else:
                raise ValueError(rule["type"])
    shown = {name: min(several, key=lambda one: one[:4])[4] for name, several in masks.items()}
    named = [(name, kind) for name, kind in columns if name not in hidden]
    left = []
    for row in rows:
        row = dict(zip(kinds, row, strict=True))
        if all(condition.truth(row) is True for condition in conditions):
            left.append([shown[name](row[name]) if name in shown else row[name] for name, _ in named])
    return named, left
