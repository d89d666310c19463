#!/usr/bin/env python3
"""Builds a matrix-synapse wheel with MSC1777's `peekable` join rule in it.

    build.py --output DIRECTORY [--sdist FILE]
    build.py --patch TREE

The first form takes the sdist of Synapse from the package registry (or FILE), inserts what edits.py lists, and leaves a
wheel in DIRECTORY. The second only patches an unpacked source tree. Both change nothing where an anchor has moved.
"""

# SPDX-License-Identifier: AGPL-3.0-or-later

import argparse
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping

from edits import EDITS, Edit

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENT = HERE / "sdist.txt"
BUILD_REQUIREMENTS = HERE / "build-requirements.txt"
MODULE = "msc1777.py"

# These wheels run tests: a compiler that is done sooner is worth more than code that is faster.
QUICK_COMPILER = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
}


class Refusal(Exception):
    """Nothing was built or changed, and the message says why."""


def patched(tree: pathlib.Path, edits: Iterable[Edit]) -> dict[str, str]:
    """The new text of every file that an edit touches; complains about all anchors at once, since who mends one wants to know."""
    texts: dict[str, str] = {}
    complaints: list[str] = []
    for edit in edits:
        if edit.file not in texts:
            try:
                texts[edit.file] = (tree / edit.file).read_text(encoding="utf-8")
            except FileNotFoundError:
                complaints.append(f"{edit.file}: there is no such file")
                continue
        anchor = edit.above + edit.below
        found = texts[edit.file].count(anchor)
        if found == 1:
            texts[edit.file] = texts[edit.file].replace(anchor, edit.above + edit.text + edit.below)
        else:
            complaints.append(f"{edit.file}: found {found} times, expected once:\n{anchor.rstrip()}")
    if complaints:
        raise Refusal(
            "This is not the source that edits.py is for, so nothing was changed. "
            "Anchors that moved:\n\n" + "\n\n".join(complaints)
        )
    return texts


def patch(tree: pathlib.Path) -> None:
    texts = patched(tree, EDITS)
    if (tree / "synapse" / MODULE).exists():
        raise Refusal(f"{tree} is patched already, or has a synapse/{MODULE} of its own. Nothing was changed.")
    for file, text in texts.items():
        (tree / file).write_text(text, encoding="utf-8")
    shutil.copyfile(HERE / MODULE, tree / "synapse" / MODULE)


def pinned_sdist() -> tuple[str, str]:
    """The requirement, and the hash of the only file that fulfils it."""
    line = next(line for line in REQUIREMENT.read_text().splitlines() if not line.startswith("#"))
    requirement, digest = line.split(" --hash=sha256:")
    return requirement, digest.strip()


def download(into: pathlib.Path) -> pathlib.Path:
    _, digest = pinned_sdist()
    arguments = ["download", "--no-deps", "--no-binary", "matrix-synapse", "--dest", str(into)]
    run_pip([*arguments, "--requirement", str(REQUIREMENT)])
    return next(file for file in into.iterdir() if sha256(file) == digest)


def unpack(sdist: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    requirement, digest = pinned_sdist()
    if sha256(sdist) != digest:
        raise Refusal(f"{sdist} is not the sdist of {requirement} that sdist.txt pins (sha256 {digest}).")
    with tarfile.open(sdist) as archive:
        # Python 3.11 has filters from its fourth patch release on.
        archive.extractall(into, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (tree,) = into.iterdir()
    return tree


def build_wheel(tree: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    # Settings of the machine win: who wants a fast Synapse sets CARGO_PROFILE_RELEASE_OPT_LEVEL=3.
    environment = {**QUICK_COMPILER, **os.environ, "CARGO_TARGET_DIR": str(tree / "target"), "MATURIN_PEP517_ARGS": "--locked"}
    run_pip(["wheel", "--no-deps", "--wheel-dir", str(into), str(tree)], environment)
    (wheel,) = into.glob("*.whl")
    return wheel


def run_pip(arguments: list[str], environment: Mapping[str, str] = os.environ) -> None:
    # The second name is for pips that no longer look at the first when they build.
    pins = {"PIP_CONSTRAINT": str(BUILD_REQUIREMENTS), "PIP_BUILD_CONSTRAINT": str(BUILD_REQUIREMENTS)}
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    # A session of its own, so that pip's children, cargo among them, end with it.
    process = subprocess.Popen(command, env={**environment, **pins}, start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code != 0:
        raise Refusal(f"{' '.join(command)} ended with {code}, so there is no wheel. What it wrote is above.")


def sha256(file: pathlib.Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=pathlib.Path, help="where the wheel goes")
    what.add_argument("--patch", type=pathlib.Path, metavar="TREE", help="an unpacked sdist to patch in place")
    parser.add_argument("--sdist", type=pathlib.Path, help="default: from the package registry")
    arguments = parser.parse_args()
    if arguments.patch:
        patch(arguments.patch)
        return

    arguments.output.mkdir(parents=True, exist_ok=True)
    # Beside the output, so that the wheel gets there by a rename: whoever finds one finds a whole one.
    with tempfile.TemporaryDirectory(dir=arguments.output, prefix="build-") as scratch:
        source, tree, wheels = (pathlib.Path(scratch, name) for name in ("sdist", "tree", "wheels"))
        for directory in (source, tree, wheels):
            directory.mkdir()
        tree = unpack(arguments.sdist or download(source), tree)
        patch(tree)
        wheel = build_wheel(tree, wheels)
        wheel.rename(arguments.output / wheel.name)
        print(arguments.output / wheel.name)


if __name__ == "__main__":
    # As Ctrl-C does: whatever we end by, nothing of us goes on, and nothing half done stays.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except Refusal as refusal:
        sys.exit(str(refusal))
