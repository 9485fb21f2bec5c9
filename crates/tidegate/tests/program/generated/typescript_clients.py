"""Makes TypeScript clients of each contract with openapi-typescript and hey-api, compiles them, and walks the contracts' flows.

    typescript_clients.py BASE NODE_MODULES

NODE_MODULES is the directory with the generators; TIDEGATE names the program. Says nothing and exits with 0 when every
step was as the descriptions say.
"""

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True

from contracts import CONTRACTS  # noqa: E402

SOURCES = Path(__file__).resolve().parent / "typescript"


def run(directory, *command):
    ended = subprocess.run(["node", *command], cwd=directory, capture_output=True, text=True)
    assert ended.returncode == 0, f"{command}:\n{ended.stdout}{ended.stderr}"


def main():
    base, modules = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        for source in SOURCES.iterdir():
            shutil.copy(source, directory)
        # The compiler looks for packages above the files it compiles.
        (directory / "node_modules").symlink_to(modules)
        for contract in CONTRACTS:
            document, described = contract.document, directory / f"{contract.document}.json"
            urllib.request.urlretrieve(f"{base}/openapi/{document}.json", described)
            run(directory, "node_modules/openapi-typescript/bin/cli.js", described, "-o", f"made/{document}.d.ts")
        run(directory, "node_modules/@hey-api/openapi-ts/bin/run.js")
        run(directory, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json")
        for walk in ["openapi_typescript", "hey_api"]:
            # Where the installation is, the program looks for it.
            run(Path.cwd(), directory / f"run/{walk}.js", base)


if __name__ == "__main__":
    main()
