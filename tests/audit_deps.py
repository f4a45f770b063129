"""`make audit-deps`: what Okno stands on: known vulnerabilities, licences, and how long ago it was last brought up to date.

Licences and age need nothing but the files at hand. Vulnerabilities need an advisory source; where none answers, that is
said and is a failure of its own: not having looked is not the same as having found nothing.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FOUND, NOT_LOOKED = 1, 2
OLDEST_DAYS = 120
# May be used and shipped in a product that is served: permissive, or copyleft that ends at the file or the library
ALLOWED = frozenset(
    [
        "0BSD",
        "Apache-2.0",
        "BlueOak-1.0.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC-BY-4.0",
        "CC0-1.0",
        "ISC",
        "LGPL-3.0",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
        "Python-2.0",
        "Unlicense",
        "ZPL-2.1",
        "Zlib",
    ]
)
# Names that packages write instead of the SPDX identifier
_SPELLINGS: Mapping[str, str] = {
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "bsd license": "BSD",
    "dfsg approved": "",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "osi approved": "",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)

Run = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]


@dataclass
class Report:
    """What was found, line by line."""

    found: list[str] = field(default_factory=list)
    not_looked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        return FOUND if self.found else NOT_LOOKED if self.not_looked else 0


def pins(lock: str) -> dict[str, str]:
    """Names and versions in a lock file of pip."""
    return dict(_PIN.findall(lock))


def licences_of(text: str) -> list[list[str]]:
    """The alternatives in an SPDX expression, or in what packages write instead, each with all licences it consists of.

    Brackets are read past: `A AND (B OR C)` gives A AND B, and C, which asks for too much rather than too little as long as
    all of them are allowed.
    """
    found: list[list[str]] = []
    for alternative in re.split(r"\s+OR\s+| / ", text):
        parts = [each.strip() for each in re.split(r"\s+AND\s+", alternative)]
        found.append([_SPELLINGS.get(each.lower(), each.strip("()")) for each in parts])
    return [each for each in found if any(each)]


def is_allowed(text: str) -> bool:
    """Whether at least one of the alternatives consists of allowed licences only."""
    alternatives = licences_of(text)
    combine = all if "(" in text and " AND " in text else any
    return bool(alternatives) and combine(ALLOWED.issuperset(each) for each in alternatives)


def python_licences(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The licence of each installed package."""
    for name in names:
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or Python
        classifiers = [
            each.rpartition(" :: ")[2]
            for each in metadata.get_all("Classifier", [])
            if each.startswith("License ::")
        ]
        text = metadata["License-Expression"] or " / ".join(classifiers) or metadata["License"] or ""
        yield name, text.splitlines()[0] if text else ""


def npm_licences(lock: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The licence of each package of a package-lock.json; those of this repository have none of their own."""
    packages = lock.get("packages")
    assert isinstance(packages, dict)
    for path, package in packages.items():
        if path and not package.get("link"):
            yield path.rpartition("node_modules/")[2], str(package.get("license") or "")


def check_licences(
    report: Report, kind: str, licences: Iterator[tuple[str, str]], known: Sequence[str]
) -> None:
    """Args:
    known: packages that name no licence, or another one, and were looked at.
    """
    counts: dict[str, int] = {}
    for name, text in licences:
        counts[text or "none named"] = counts.get(text or "none named", 0) + 1
        if name not in known and not is_allowed(text):
            report.found.append(
                f"{kind}: {name} has the licence {text or 'none'}, which is not among the allowed"
            )
    listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))
    report.said.append(f"{kind} licences: {listed}")


def check_age(report: Report, root: Path, run: Run, files: Sequence[str], now: datetime) -> None:
    """How long ago the lock files were last renewed, as the history tells."""
    for name in files:
        changed = run(["git", "log", "-1", "--format=%ct", "--", name], root).stdout.strip()
        if not changed:
            report.not_looked.append(f"age of {name}: it has no history here")
            continue
        days = (now - datetime.fromtimestamp(int(changed), UTC)).days
        report.said.append(f"{name}: renewed {days} days ago")
        if days > OLDEST_DAYS:
            report.found.append(f"{name} is {days} days old; renew it (make lock, npm update)")


def check_python(report: Report, root: Path, run: Run, lock: str) -> None:
    """Asks pip-audit about the pinned versions."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip", "--format", "json"]
    result = run(command, root)
    try:
        answer = json.loads(result.stdout)
        packages = answer["dependencies"]
    except (ValueError, KeyError, TypeError):
        report.not_looked.append(f"Python vulnerabilities: {_reason(result)}")
        return
    for package in packages:
        for each in package.get("vulns", ()):
            fixed = ", ".join(each.get("fix_versions", ())) or "no version"
            report.found.append(
                f"Python: {package['name']} {package['version']}: {each['id']}, mended in {fixed}"
            )
    # it passes over what its source does not answer for, and then says that it has found nothing
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped:
        report.not_looked.append(
            f"Python vulnerabilities: {len(skipped)} of {len(packages)} packages could not be looked up "
            f"({skipped[0]['skip_reason'][:100]})"
        )
    report.said.append(f"Python vulnerabilities: {len(packages) - len(skipped)} packages looked up")


def check_npm(report: Report, root: Path, run: Run, folder: str) -> None:
    """Asks npm about the pinned versions."""
    result = run(["npm", "audit", "--json", "--package-lock-only", "--prefix", folder], root)
    try:
        answer = json.loads(result.stdout)
        vulnerabilities = answer["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        report.not_looked.append(f"npm vulnerabilities of {folder}: {_reason(result)}")
        return
    for name, each in vulnerabilities.items():
        fixed = "a mended version is there" if each.get("fixAvailable") else "there is no mended version"
        report.found.append(f"npm: {name} {each.get('range', '')}: {each.get('severity')}, {fixed}")
    report.said.append(f"npm vulnerabilities of {folder}: looked up")


def _reason(result: "subprocess.CompletedProcess[str]") -> str:
    """Why there was no answer, in one line without addresses."""
    try:
        message = json.loads(result.stdout).get("message") or ""
    except (ValueError, AttributeError):
        message = ""
    lines = [line for line in (message or result.stderr).splitlines() if line.strip()]
    text = re.sub(r"\w+://\S+", "the advisory source", lines[-1].strip()) if lines else "no answer"
    return f"could not look ({text[:200]})"


def audit(root: Path, run: Run, now: datetime) -> Report:
    """Everything, of the repository at `root`."""
    report = Report()
    python = pins((root / "requirements-dev.lock").read_text(encoding="utf-8"))
    check_licences(report, "Python", python_licences([*python]), known=())
    folders = ("frontend", "tests/peers", "bench/peers")
    for folder in folders:
        lock = json.loads((root / folder / "package-lock.json").read_text(encoding="utf-8"))
        check_licences(report, f"npm {folder}", npm_licences(lock), known=_LOOKED_AT)
    locks = ["requirements.lock", *(f"{folder}/package-lock.json" for folder in folders)]
    check_age(report, root, run, locks, now)
    check_python(report, root, run, "requirements-dev.lock")
    for folder in folders:
        check_npm(report, root, run, folder)
    return report


# Name no licence in the lock; the texts that they ship are the Unlicense
_LOOKED_AT = ("fast-shallow-equal", "react-universal-interface")


def _run(command: Sequence[str], directory: Path) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=300
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def main() -> int:
    report = audit(Path.cwd(), _run, datetime.now(UTC))
    for line in report.said:
        sys.stdout.write(f"  {line}\n")
    for line in report.found:
        sys.stdout.write(f"✗ {line}\n")
    for line in report.not_looked:
        sys.stdout.write(f"? {line}\n")
    if report.not_looked:
        sys.stdout.write(
            "Not everything was looked at: that nothing is said there does not mean that nothing is known.\n"
        )
    return report.code


if __name__ == "__main__":
    sys.exit(main())
