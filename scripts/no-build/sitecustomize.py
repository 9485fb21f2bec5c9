"""Lets pip fetch source archives of which nothing is built. Python reads this when it starts, if its folder is in PYTHONPATH.

pip asks a package's backend for its name and version even when it only fetches. The real backends want compilers, and run what the
package brings. In their place stands one that copies what the archive says of itself.
"""

import os
import re
import shutil
import sys
import types


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Copies the description at the root of the archive, where pip is when it asks."""
    import email.parser  # Not with each start of Python.

    with open("PKG-INFO", encoding="utf-8") as description:
        said = email.parser.Parser().parse(description, headersonly=True)
    # pip reads both in the folder's name, too.
    folder = re.sub("[-_.]+", "_", said["Name"]) + "-" + said["Version"] + ".dist-info"
    os.mkdir(os.path.join(metadata_directory, folder))
    shutil.copy("PKG-INFO", os.path.join(metadata_directory, folder, "METADATA"))
    return folder


backend = types.ModuleType("backend")
backend.prepare_metadata_for_build_wheel = prepare_metadata_for_build_wheel
# What pip takes where a package names none.
backend.__legacy__ = backend
for name in ("setuptools.build_meta", "maturin", "scikit_build_core.build"):
    sys.modules[name] = backend
