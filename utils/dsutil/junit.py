"""Counts the cases of a JUnit report: `junit.py WHAT FILE EXIT-CODE` prints "passed failed skipped".

A missing report, or a failure of the runner without a failed case, counts as one failure."""

import os
import sys
import xml.etree.ElementTree as ElementTree


def main() -> int:
    what, path, code = sys.argv[1], sys.argv[2], int(sys.argv[3])
    passed = failed = skipped = 0
    if os.path.exists(path):
        for case in ElementTree.parse(path).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"} or case.get("status") == "fail":
                failed += 1
            elif "skipped" in kinds or case.get("status") in ("notrun", "disabled"):
                skipped += 1
            else:
                passed += 1
        os.remove(path)
    if code != 0 and failed == 0:
        failed = 1
        print(f"check: {what} ended with exit code {code}", file=sys.stderr)
    print(f"{what}: {passed} passed, {failed} failed, {skipped} skipped", file=sys.stderr)
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
