"""The rules of the source tree: each takes one file and names what breaks it, nothing when all is well.

They know text and syntax only; what is documented is looked at in test_documentation.py.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES, MAX_FUNCTION_LINES = 500, 50
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "common"})
ENVIRONMENT_NAMES = frozenset({"environ", "environb", "getenv", "getenvb"})
ENVIRONMENT_READER = "src/kilo_gateway/config.py"
# A path that means something on one machine only, or that leaves the repository.
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:work|root)/|\.\./shared\b")


@dataclass(frozen=True)
class Source:
    path: PurePosixPath
    """From the repository's root."""
    text: str


Rule = Callable[[Source], list[str]]


def long_file(source: Source) -> list[str]:
    count = len(source.text.splitlines())
    return [f"{source.path}: {count} lines"] if count > MAX_FILE_LINES else []


def long_functions(source: Source) -> list[str]:
    """Counted from `def` to the last line, docstring included, decorators not."""
    return [
        f"{source.path}:{node.lineno}: {node.name} has {count} lines"
        for node in ast.walk(ast.parse(source.text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def vague_name(source: Source) -> list[str]:
    return [f"{source.path}: {part}" for part in source.path.with_suffix("").parts if part in VAGUE_NAMES]


def global_statements(source: Source) -> list[str]:
    return [
        f"{source.path}:{node.lineno}: global {', '.join(node.names)}"
        for node in ast.walk(ast.parse(source.text))
        if isinstance(node, ast.Global)
    ]


def environment_reads(source: Source) -> list[str]:
    if source.path == PurePosixPath(ENVIRONMENT_READER):
        return []
    tree = ast.parse(source.text)
    return [f"{source.path}:{line}: {name}" for line, name in _environment_names(tree, _names_of_os(tree))]


def machine_paths(source: Source) -> list[str]:
    return [
        f"{source.path}:{number}: {found[0]}"
        for number, line in enumerate(source.text.splitlines(), 1)
        if (found := MACHINE_PATH.search(line))
    ]


def python_sources() -> list[Source]:
    """Every Python file of the product."""
    return [Source(PurePosixPath(path.relative_to(ROOT)), path.read_text()) for path in sorted(ROOT.glob("src/**/*.py"))]


def tracked_sources() -> list[Source]:
    """Every text file that is in the repository or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    return list(_texts(listed.stdout.decode().split("\0")))


def _texts(names: list[str]) -> Iterator[Source]:
    for name in names:
        path = ROOT / name
        if name and path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield Source(PurePosixPath(name), content.decode(errors="replace"))


def _names_of_os(tree: ast.AST) -> set[str]:
    """What `os` is called in this module."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "os"
    }


def _environment_names(tree: ast.AST, names_of_os: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT_NAMES:
            if isinstance(node.value, ast.Name) and node.value.id in names_of_os:
                yield node.lineno, f"os.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from ((node.lineno, f"os.{alias.name}") for alias in node.names if alias.name in ENVIRONMENT_NAMES)
