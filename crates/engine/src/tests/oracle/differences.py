"""Whether two answers are the same, and what the two dialects of SQL say differently."""

import datetime
import math
import re
from decimal import Decimal

RELATIVE = 1e-9
# What a query may answer with where nothing else is set.
MOST_ROWS = 1_000_000

# Written differently, or given another meaning, by the two engines. Queries have the common form instead.
AVOIDED = {
    "integer division": "`7 / 2` is 3 here and 3.5 in DuckDB; only floating-point numbers are divided",
    "division by zero": "an error here, NULL or infinity in DuckDB; divisors are `nullif(x, 0)`, or zero on hidden rows alone",
    "negative zero": "less than zero here, equal to it in DuckDB; zero is added to what may be it",
    "casts that round": "a fraction cast to an integer is cut here and rounded in DuckDB; `floor` comes before the cast",
    "casts to text": "floating-point numbers, decimals and timestamps are written differently as text; they are not cast to it",
    "INTERSECT ALL, EXCEPT ALL": "rows are counted differently; only the forms without ALL are asked",
    "NOT IN with NULL": "a subquery with NULL under NOT or OR, or of a literal, is false here where it is unknown; it has none there",
    "lists that exclude one another in conditions": "FALSE or TRUE of NULL here; a query that has such a one is not asked",
    "RIGHT and FULL JOIN with USING": "the common column is the left side's here, which is NULL where there is none; ON is asked",
    "IS TRUE": "refused here where a query has the same one twice; `= true` is asked",
    "IS DISTINCT FROM": "takes a following AND along here; it stands in brackets",
    "differences of dates": "a duration here, a number in DuckDB; dates are compared, not subtracted",
    "order of evaluation": "which of two conditions is evaluated first is each engine's own; what can fail on a visible row is asked alone",
}


def limit_of(sql):
    """The LIMIT at the end of a query; None where there is none."""
    found = re.search(r" limit (\d+)$", sql)
    return found and int(found[1])


# Differences that are known when they occur: a name, the reason, and a function of what was asked and both answers.
LISTED = {
    "refused without rows": (
        "what the engine cannot plan is an error, also of the same relations without a single row: no row has to do with it",
        lambda asked, ours, theirs: asked.get("refused", False) and isinstance(ours, str) and not isinstance(theirs, str),
    ),
    "more rows than a query may have": (
        "the other engine has no such limit: a cross join of a cross join has more",
        lambda asked, ours, theirs: isinstance(ours, str) and "LimitRows" in ours and not isinstance(theirs, str) and len(theirs) > MOST_ROWS,
    ),
    "more rows than LIMIT": (
        "DuckDB leaves a LIMIT out where all rows are in the order of a column that is the same in each",
        lambda asked, ours, theirs: not isinstance(ours, str)
        and not isinstance(theirs, str)
        and limit_of(asked["sql"]) == len(ours) < len(theirs)
        and all(all_same(*(map(plain, row) for row in pair)) for pair in zip(ours, theirs)),
    ),
    "internal error of the other engine": (
        "DuckDB says itself that it is a fault of its own that it has no answer",
        lambda asked, ours, theirs: not isinstance(ours, str) and isinstance(theirs, str) and theirs.startswith("INTERNAL Error"),
    ),
}


def plain(value):
    """A value in a form that is comparable between engines."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        # A date and the midnight that it begins with are the same.
        return datetime.datetime.combine(value, datetime.time())
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value


def is_number(value):
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def same(one, other):
    """Whether two values are the same."""
    if is_number(one) and is_number(other):
        if not isinstance(one, float) and not isinstance(other, float):
            return one == other
        one, other = float(one), float(other)
        return (math.isnan(one) and math.isnan(other)) or one == other or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=1e-12)
    return type(one) is type(other) and one == other


def sorting(row):
    """A key by which equal rows are at the same place, but for what rounding does."""
    key = []
    for value in row:
        if value is None:
            key.append((0, ""))
        elif isinstance(value, bool):
            key.append((1, str(value)))
        elif is_number(value):
            number = float(value) + 0.0
            key.append((2, "nan" if math.isnan(number) else f"{number:.6e}"))
        else:
            key.append((3, str(value)))
    return key


def all_same(one, other):
    one, other = list(one), list(other)
    return len(one) == len(other) and all(same(*pair) for pair in zip(one, other))


def same_rows(one, other, ordered):
    """Whether two answers have the same rows, as often, and in the same order if it counts."""
    one, other = [[plain(value) for value in row] for row in one], [[plain(value) for value in row] for row in other]
    if len(one) != len(other):
        return False
    if not ordered:
        one, other = sorted(one, key=sorting), sorted(other, key=sorting)
    if all(all_same(*pair) for pair in zip(one, other)):
        return True
    if ordered:
        return False
    # Rounding may have sorted near numbers differently: each row needs one of its own.
    left = list(other)
    for row in one:
        found = next((place for place, candidate in enumerate(left) if all_same(row, candidate)), None)
        if found is None:
            return False
        del left[found]
    return True


def listed(asked, ours, theirs):
    """The name of the known difference that this is; None if it is not known."""
    return next((name for name, (_, is_it) in LISTED.items() if is_it(asked, ours, theirs)), None)
