"""What must be shown besides: the simulator and its reference, broken builds it catches, soak and mutants, figures in bench/README.md."""

import ast
import re
import statistics
import subprocess
from pathlib import Path

import wire
from harness import PYTHON, REPO, check, environment, info
from money import answering, asked, done, new_budget, new_key, new_user, ok, own

TESTS = REPO / "tests"
LEDGER = REPO / "src/kilo_gateway/ledger"


def tests_of(*words: str) -> list[Path]:
    return [path for path in (TESTS / "ledger").rglob("test_*.py") if any(word in str(path.relative_to(TESTS)) for word in words)]


def pytest(*args: str, timeout: float = 100.0, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run([PYTHON, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "-q", "-p", "no:cacheprovider", *args], capture_output=True, text=True, cwd=REPO, timeout=timeout,
                          env=environment(HOME="/tmp", **env), stdin=subprocess.DEVNULL)  # fmt: skip


def readme() -> str:
    return (REPO / "bench/README.md").read_text()


@check("shown.sans-io", "ledger/ is sans-IO: leases, ledger and limiter import neither clocks, randomness, asyncio, sockets nor SQL")
def _():
    forbidden = {"time", "random", "secrets", "uuid", "asyncio", "socket", "sqlite3", "sqlalchemy", "threading", "datetime"}
    named = [path for path in LEDGER.rglob("*.py") if re.search(r"lease|ledger|limit|budget|hold|account|slice|bucket", path.stem)]
    assert len(named) >= 4, f"ledger/ has only {sorted(path.name for path in LEDGER.rglob('*.py'))}"
    bad = []
    for path in named:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            bad += [f"{path.name}: {name}" for name in names if name.partition(".")[0] in forbidden]
    assert not bad, f"{bad}"


@check("shown.reference", "the reference ledger of the simulator has at most 150 lines and is another program than ledger/")
def _():
    found = [path for path in (TESTS / "ledger").rglob("*.py") if "reference" in path.stem]
    assert found, "no tests/ledger/…reference….py"
    lines = len(found[0].read_text().splitlines())
    assert lines <= 150, f"{found[0].name} has {lines} lines"
    assert "kilo_gateway.ledger" not in found[0].read_text(), "it imports what it is to judge"


@check("shown.simulator", "the simulator drives 3 workers and the authority, with crashes, delays, doubled and lost messages, expiry and power loss; its tests pass (short)", timeout=150)
def _():
    found = tests_of("simul")
    assert found, "no test of a simulator in tests/ledger"
    text = " ".join(path.read_text() for path in (TESTS / "ledger").rglob("*.py") if "simul" in str(path)).lower()
    missing = [word for word in ("crash", "delay", "duplicat", "lost", "expir", "power") if word not in text]
    assert not missing, f"its source has no word of {missing}"
    ran = pytest(*map(str, found), timeout=140, KILO_SIMULATED_SEEDS="40", KILO_SIMULATED_REQUESTS="100")
    assert ran.returncode == 0, f"{ran.stdout[-240:]}"
    return ran.stdout.splitlines()[-1].strip("= ")


@check("shown.simulator-size", "in the test run it is >= 100,000 requests over >= 1,000 seeds by default, six invariants after every step")
def _():
    found = tests_of("simul")
    assert found, "no test of a simulator in tests/ledger"
    text = " ".join(path.read_text() for path in (TESTS / "ledger").rglob("*.py") if "simul" in str(path))
    names = {f"I{n}" for n in range(1, 7)} - set(re.findall(r"\bI[1-6]\b", text))
    assert not names, f"invariants that are not named: {sorted(names)}"
    numbers = [int(number.replace("_", "")) for number in re.findall(r"\b\d[\d_]{3,}\b", text)]
    assert any(number >= 1000 for number in numbers) and any(number >= 100_000 for number in numbers) or _product(text), f"numbers in it: {sorted(set(numbers))[-6:]}"


def _product(text: str) -> bool:
    """Seeds times requests of each."""
    found = {word: int(number.replace("_", "")) for word, number in re.findall(r"(SEEDS|REQUESTS)\b[^\n=]*=[^\n\d]*([\d_]+)", text)}
    return found.get("SEEDS", 0) >= 1000 and found.get("SEEDS", 0) * found.get("REQUESTS", 0) >= 100_000


@check("shown.broken", "at least five deliberately broken builds, for five invariants, that the simulator catches", timeout=150)
def _():
    found = [path for path in (TESTS / "ledger").rglob("test_*.py") if "broken" in path.read_text().lower()]
    assert found, "no test of broken builds in tests/ledger"
    listed = pytest("--collect-only", *map(str, found), "-k", "broken", timeout=60)
    ids = [line for line in listed.stdout.splitlines() if "::" in line]
    assert len(ids) >= 5, f"{len(ids)} tests of broken builds"
    ran = pytest(*map(str, found), "-k", "broken", timeout=140)
    assert ran.returncode == 0, f"{ran.stdout[-240:]}"
    return f"{len(ids)} broken builds"


@check("shown.regressions", "failing seeds become tests: a place for them, and a test that runs it")
def _():
    text = " ".join(path.read_text().lower() for path in (TESTS / "ledger").rglob("*.py") if "simul" in str(path))
    assert "regression" in text or "seeds that failed" in text or "failing seed" in text, "no word of failing seeds in the simulator's tests"


@check("shown.verify-test", "a test changes every money column and wants ledger verify to say so")
def _():
    found = [path for path in TESTS.rglob("test_*.py") if "verify" in path.read_text() and "_nanos" in path.read_text()]
    assert found, "no test of verify over the columns of money"


@check("shown.properties", "money code is under property tests (hypothesis) in tests/ledger, tests/core or tests/store")
def _():
    found = [path for part in ("ledger", "core", "store") for path in (TESTS / part).rglob("*.py") if "hypothesis" in path.read_text()]
    ledger = [path for path in found if "ledger" in str(path)]
    assert ledger, f"none in tests/ledger: {[path.name for path in found][:6]}"


for target, words in (("soak", ("simul", "200")), ("mutants", ("mutmut",))):

    @check(f"shown.make-{target}", f"make {target} is there")
    def _(target=target, words=words):
        ran = subprocess.run(["make", "-n", target], capture_output=True, text=True, cwd=REPO, env=environment(), timeout=20)
        assert ran.returncode == 0, f"make -n {target}: {ran.stderr[-160:]}"
        text = ran.stdout + (REPO / "run").read_text() + "".join(path.read_text(errors="replace") for path in (REPO / "scripts").glob("*") if path.is_file())
        assert any(word in text for word in words), f"it has no word of {words}: {ran.stdout[:160]}"


@check("shown.mutants", ">= 85 % of the mutants of ledger/ are killed, and the survivors are explained in a document")
def _():
    pages = [path for path in [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md"), *(REPO / "bench").rglob("*.md")] if "mutant" in path.read_text().lower()]
    assert pages, "no document speaks of mutants"
    percents = [float(p) for page in pages for line in page.read_text().splitlines() if "mutant" in line.lower() or "kill" in line.lower()
                for p in re.findall(r"(\d+(?:\.\d+)?)\s*%", line)]  # fmt: skip
    assert percents and max(percents) >= 85, f"percentages in {pages[0].name}: {percents}"
    return f"{max(percents)} %"


FIGURES = {
    "import": ("journal import >= 20,000 requests/s on SQLite", r"(?i)journal import|import of the journal|imports?\b[^\n]*requests"),
    "rollups": ("a usage query over 1,000 keys x 50 models x 90 days, hourly, <= 100 ms", r"(?i)roll-?ups?"),
    "million": ("1 million keys: snapshot size, push time, memory per worker, lookup cost", r"(?i)(1,000,000|1 million|a million|million)\s+keys"),
    "budgets": ("CPU per request with six ample budgets <= 1.1 x without", r"(?i)six\b[^\n]*budgets|budgets[^\n]*six"),
}  # fmt: skip
for figure, (what, pattern) in FIGURES.items():

    @check(f"shown.bench-{figure}", f"bench/README.md has the figure, and bench/ a script for it: {what}")
    def _(figure=figure, pattern=pattern):
        lines = [line for line in readme().splitlines() if re.search(pattern, line)]
        assert lines, f"bench/README.md has no line that matches {pattern}"
        assert any(re.search(r"\d", line) for line in lines), f"no number: {lines[0]}"
        if figure == "import":
            numbers = [int(n.replace(",", "")) for line in lines for n in re.findall(r"\d{2,3},\d{3}", line)]
            assert numbers and max(numbers) >= 20_000, f"{lines[0]}"
        return next(line for line in lines if re.search(r"\d", line)).strip("| ")[:110]


@check("shown.architecture", "ARCHITECTURE.md and docs tell of ledger, leases, limits and what survives which death; CHANGELOG names them")
def _():
    texts = {"ARCHITECTURE.md": ("ledger", "slice", "budget", "roll-up"), "docs/api.md": ("402", "x-ratelimit-", "budget_exhausted", "x-kilo-budget-warning"),
             "docs/operations.md": ("ledger verify", "PostgreSQL", "retention"), "CHANGELOG.md": ("budget", "ledger"), "docs/settings.md": ("DATABASE_URL",)}  # fmt: skip
    missing = [f"{page}: {word}" for page, words in texts.items() for word in words if word.lower() not in (REPO / page).read_text().lower()]
    assert not missing, f"{missing}"


@check("shown.coverage-of-losses", "each money fault of A1 has a test: names with race, hold, leak, once, deadlock, disconnect, clamp in tests/")
def _():
    text = " ".join(path.read_text().lower() for part in ("ledger", "store", "gateway", "control", "processes") for path in (TESTS / part).rglob("test_*.py"))
    words = ("race", "hold", "once", "deadlock", "disconnect|hang", "clamp", "duplicat", "negative")
    missing = [word for word in words if not re.search(word, text)]
    assert not missing, f"no test speaks of {missing}"


# ---------------------------------------------------------------- what budgets cost


def cpu(pid: int) -> float:
    """Seconds of CPU so far, of all its threads, to the nanosecond."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


@check("cpu.six-budgets", "CPU of a worker per request with six ample budgets on the key's path is at most 1.2 x that without (the bench wants 1.1)", timeout=120)
def _():
    with own("six") as g:
        user = new_user(g)
        plain, under = new_key(g), new_key(g, user_id=user["id"])
        for scope, target in (("key", under["id"]), ("user", user["id"])):
            for reset in ("daily", "weekly", "monthly"):
                new_budget(g, scope, target, "1000", reset)
        assert len(done(g, "GET", "budgets")) >= 6
        [worker] = g.workers_pids()
        script = answering(5)
        per: dict[str, list[float]] = {"plain": [], "under": []}
        for _ in range(11):
            for what, key in (("plain", plain), ("under", under)):
                with wire.Conn(g.port) as conn:
                    data, before = g.head(asked(script), key=key["key"]), cpu(worker)
                    for _ in range(500):
                        conn.send(data)
                        assert ok(conn.read())
                    per[what].append((cpu(worker) - before) / 500 * 1e6)
        low = {what: statistics.median(sorted(values)[:5]) for what, values in per.items()}
        info("cpu.six-budgets", f"{low['plain']:.0f} us without, {low['under']:.0f} us with six budgets: {low['under'] / low['plain']:.2f} x")
        assert low["under"] <= 1.2 * low["plain"], f"{low}"
