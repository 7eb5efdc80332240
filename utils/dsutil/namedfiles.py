#!/usr/bin/env python3
"""Finds files that comments and documents name and that do not exist: what was moved or renamed is still called by its old name.

usage: namedfiles.py     Prints a line for each, and exits with 1 if there is one.

A name is a file of the repository with its whole path, the end of it, or a bare name. Files of others are in FOREIGN; what a
document invents as an example is in EXAMPLES."""

import os
import re
import subprocess
import sys

FOREIGN = {"dlpack.h", "dlpack/dlpack.h"}
EXAMPLES = {"RemoveDoubleNegation.cpp"}  # CONTRIBUTING.md's new pass
NAME = re.compile(r"(?<![\w./$}<>*-])((?:\w[\w+-]*/)*\w[\w+-]*\.(?:cpp|h|hpp|td|py|md|def))\b(?![./(])")
COMMENT = re.compile(r"(?<![:\"\w])//.*$|^\s*\*.*$|/\*.*|^\s*#(?!include).*$")


def main() -> int:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    ends = {path[at:] for path in tracked for at in [0] + [m.end() for m in re.finditer("/", path)]}
    missing = []
    for path in tracked:
        isText = path.endswith(".md")
        if not isText and not re.search(r"\.(cpp|h|hpp|c|td|py|def|cmake|mlir)$|CMakeLists\.txt$", path):
            continue
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                comment = re.match("(?s).*", line) if isText else COMMENT.search(line)
                for name in NAME.findall(comment.group(0)) if comment else []:
                    if name not in ends | FOREIGN | EXAMPLES:
                        missing.append(f"{path}:{number}: {name}")
    print("\n".join(missing), end="\n" if missing else "")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
