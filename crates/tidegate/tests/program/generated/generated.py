"""Sends requests generated from the description of each contract to a server, anonymously and signed in.

    generated.py BASE [--contract NAME] [--paths REGEX | --other-paths REGEX] [--minutes N] [--seed N] [--report DIRECTORY]

BASE is where the server listens, served with tidegate.toml beside this script from the working directory; TIDEGATE names
the program. Prints a table of what was sent and found. Exits with 1 where an answer or a description is wrong, and says
which. Without --minutes the run is short, and always the same for one seed; with it, each contract gets so many minutes,
half of them anonymously.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from contracts import CONTRACTS  # noqa: E402

CALLERS = ["anonymous", "signed in"]
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth", "valid_requests_are_accepted", "headers_are_described",
]
FIGURES = ["requests", "accepted"]
FAULTS = ["server errors", "undocumented", "refused"]
CONFIGURATION = """
warnings = false

[auth]
auto-signup = false
"""
# The boundary values of every field, one by one: the fields of an application alone are a thousand requests. Other methods
# are answered alike everywhere.
SHORT = CONFIGURATION + """
[phases.coverage]
unexpected-methods = []

[[operations]]
include-path = "/api/v1/account/create"
phases.coverage.enabled = false
generation.max-examples = 40
"""


def depth(who, minutes):
    """How deep a run goes: which phases, how many values of each operation or for how long."""
    if minutes:
        seconds = max(1, round(minutes * 60 / len(CALLERS)))
        return ["--phases", "examples,coverage,fuzzing", "--max-examples", "1000", "--max-time", str(seconds)]
    # Who is signed in reaches what others reach, too; most of what others send is refused for want of a token.
    phases = "examples,fuzzing" if who == "anonymous" else "examples,coverage,fuzzing"
    return ["--phases", phases, "--max-examples", "4"]


def run(base, contract, who, options, directory):
    """Sends one contract's requests; answers the figures, the exit code, and what was said."""
    figures = directory / f"{contract.document} {who}.json"
    report = directory / f"{contract.document} {who}.txt"
    configuration = directory / "schemathesis.toml"
    configuration.write_text(CONFIGURATION if options.minutes else SHORT)
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1",
        "GENERATED_BASE": base, "GENERATED_CONTRACT": contract.document, "GENERATED_FIGURES": str(figures),
        "GENERATED_CALLER": who, "GENERATED_INSTALLATION": os.getcwd(), "PYTHONHASHSEED": "0",
    }
    command = [
        sys.executable, "-c", "import schemathesis.cli; schemathesis.cli.schemathesis()",
        "--config-file", str(configuration), "run", f"{base}/openapi/{contract.document}.json",
        "--seed", str(options.seed), "--checks", ",".join(CHECKS), "--no-color", "--continue-on-failure",
        # A busy machine is no finding.
        "--suppress-health-check", "all", "--request-timeout", "60",
        *depth(who, options.minutes),
    ]
    if options.paths:
        command += ["--include-path-regex", options.paths]
    if options.other_paths:
        command += ["--exclude-path-regex", options.other_paths]
    with report.open("w") as output:
        ended = subprocess.run(command, env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT)
    sent = json.loads(figures.read_text()) if figures.exists() else {}
    return sent, ended.returncode, report.read_text()


def row(contract, runs):
    """A contract's row of the table. generated.rs reads it."""
    each = [", ".join(f"{sent.get(kind, 0):,}" for sent in runs) for kind in FIGURES]
    together = [f"{sum(sent.get(kind, 0) for sent in runs):,}" for kind in FAULTS]
    operations = max(sent.get("operations", 0) for sent in runs)
    return f"| {contract.name} | {operations} | {' | '.join([*each, *together])} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--contract", choices=[one.document for one in CONTRACTS])
    parser.add_argument("--paths")
    parser.add_argument("--other-paths")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        directory = (options.report or Path(scratch)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        print(f"| Contract | Operations | Requests: {', '.join(CALLERS)} | Accepted | {' | '.join(fault.capitalize() for fault in FAULTS)} |")
        print("|---|---|---|---|---|---|---|")
        for contract in CONTRACTS:
            if options.contract not in (None, contract.document):
                continue
            runs = [run(options.base, contract, who, options, directory) for who in CALLERS]
            print(row(contract, [sent for sent, _, _ in runs]), flush=True)
            for who, (sent, code, report) in zip(CALLERS, runs, strict=True):
                # Whoever is signed in and never accepted was not signed in.
                if code or not sent.get("requests") or (who == "signed in" and not sent.get("accepted")):
                    failed = True
                    print(report, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
