"""Reads Rust source as far as the checks of the house need it: what is code, what is a test, where modules begin and end.

Used by scripts/check-circles and scripts/check-size. Tested by scripts/check-selftest.
"""

import re
import sys
from pathlib import Path

# One alternative for everything whose contents are not code. A lifetime ('a) is matched so that its quote begins no
# character, and stays.
_NOT_CODE = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>(?<![A-Za-z0-9_])[bc]?r(?P<hashes>\#*)")
    | (?P<string>")
    | (?P<char>'(?:\\u\{[^}]*\}|\\x[0-9a-fA-F]{2}|\\.|[^\\'\n])')
    """,
    re.VERBOSE,
)
_STRING_END = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
_BLOCK_EDGE = re.compile(r"/\*|\*/")


def _blank(text):
    """Spaces in place of the text, line ends kept, so that positions and line numbers stay."""
    return re.sub(r"[^\n]", " ", text)


def code_of(source):
    """The source with comments, strings and characters blanked."""
    parts, at = [], 0
    while match := _NOT_CODE.search(source, at):
        end = match.end()
        if match["block"]:
            depth = 1
            while depth and (edge := _BLOCK_EDGE.search(source, end)):
                depth += 1 if edge[0] == "/*" else -1
                end = edge.end()
            if depth:
                end = len(source)
        elif match["raw"]:
            close = source.find('"' + match["hashes"], end)
            end = len(source) if close < 0 else close + 1 + len(match["hashes"])
        elif match["string"]:
            close = _STRING_END.match(source, end)
            end = close.end() if close else len(source)
        parts += [source[at : match.start()], _blank(source[match.start() : end])]
        at = end
    return "".join(parts) + source[at:]


def block_end(code, opening):
    """The position after the bracket that closes the one at `opening`; the end of the code if none does."""
    pairs = {"{": "}", "(": ")", "[": "]"}
    opens, closes = code[opening], pairs[code[opening]]
    depth = 0
    for edge in re.compile(f"[{re.escape(opens + closes)}]").finditer(code, opening):
        depth += 1 if edge[0] == opens else -1
        if depth == 0:
            return edge.end()
    return len(code)


# Items that end with a semicolon whatever braces they hold: `use a::{b};`, `const A: T = T { b };`.
_ENDS_WITH_SEMICOLON = re.compile(
    r"\s*(?:pub(?:\s*\([^)]*\))?\s+)?(?:use|static|let|type|const(?!\s+(?:async|unsafe|extern|fn)\b))\b"
)
_ATTRIBUTE = re.compile(r"\s*#!?\[")
_BRACKET_OR_SEMICOLON = re.compile(r"[{(\[;]")


def item_end(code, start):
    """The position after the item that starts here, attributes included: after its block, or after its semicolon."""
    at = start
    while attribute := _ATTRIBUTE.match(code, at):
        at = block_end(code, attribute.end() - 1)
    needs_semicolon = _ENDS_WITH_SEMICOLON.match(code, at)
    while edge := _BRACKET_OR_SEMICOLON.search(code, at):
        if edge[0] == ";":
            return edge.end()
        at = block_end(code, edge.start())
        if edge[0] == "{" and not needs_semicolon:
            return at
    return len(code)


_TEST_ATTRIBUTE = re.compile(r"#\[cfg\((?:test\b|all\(\s*test\b)")


def without_tests(code):
    """The code with items under `#[cfg(test)]` blanked, and the names of the modules `#[cfg(test)] mod name;` declares."""
    test_modules = []
    at = 0
    while match := _TEST_ATTRIBUTE.search(code, at):
        end = item_end(code, match.start())
        item = code[match.start() : end]
        if declared := re.search(r"\bmod\s+(\w+)\s*;\s*$", item):
            test_modules.append(declared[1])
        code = code[: match.start()] + _blank(item) + code[end:]
        at = end
    return code, test_modules


class SourceFile:
    """One production file: `path`, `module` (its path of names from the crate's root) and `code` without tests."""

    def __init__(self, path, module, code):
        self.path = path
        self.module = module
        self.code = code

    def line(self, position):
        return self.code.count("\n", 0, position) + 1


def module_of(path):
    """The module path of a file, from its path below src."""
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "mod" or (len(parts) == 1 and parts[0] in ("lib", "main")):
        parts.pop()
    return tuple(parts)


def production_files(src):
    """All files below a crate's `src` that are not tests, by module path."""
    files, test_modules = {}, set()
    for path in sorted(Path(src).rglob("*.rs")):
        below = path.relative_to(src)
        if below.name == "tests.rs" or "tests" in below.parts:
            continue
        code, names = without_tests(code_of(path.read_text(encoding="utf-8")))
        if re.match(r"\s*#!\[cfg\(test\)\]", code):
            continue
        module = module_of(below)
        test_modules.update(module + (name,) for name in names)
        files[module] = SourceFile(path, module, code)
    return {
        module: file
        for module, file in files.items()
        if not any(module[: len(test)] == test for test in test_modules)
    }


class AllowList:
    """Today's exceptions, one a line, in a file that may only get shorter: an entry without a reason fails as well."""

    def __init__(self, path):
        self.path = Path(path)
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        self.entries = {line for line in lines if line and not line.startswith("#")}

    def compare(self, found, complain):
        """Complains about what is found and not allowed, and about what is allowed and no longer found."""
        for entry in sorted(found.keys() - self.entries):
            complain(found[entry])
        for entry in sorted(self.entries - found.keys()):
            complain(f"'{entry}' is no exception any more; remove it from {self.path}")


def complainer(name):
    """A function that prints a complaint and counts it, and its list of complaints."""
    complaints = []

    def complain(text):
        print(f"{name}: {text}", file=sys.stderr)
        complaints.append(text)

    return complain, complaints
