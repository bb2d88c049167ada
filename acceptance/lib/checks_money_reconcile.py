"""`kilo-gateway reconcile BILL.csv`: drift per model and day against a provider's bill, in three formats, and pricing what had no price."""

import json
import threading
import time
from decimal import Decimal

from harness import ROOT, check, cli, eventually, model, usd
from money import answering, ask, cli_json_of, name, new_key, ok, own

_made: dict = {}
_making = threading.Lock()


def booked():
    """Data of a stopped gateway: today lab/out cost 0.003 in three requests, lab/cheap 0.0001 in one, two are unpriced."""
    with _making:
        if "error" in _made:
            raise AssertionError(_made["error"])
        if not _made:
            try:
                with own("billed") as g:
                    key = new_key(g, limit_usd="1")
                    for _ in range(3):
                        ok(ask(g, key["key"]))
                    ok(ask(g, key["key"], answering(500), "lab/cheap"))
                    for _ in range(2):
                        ok(ask(g, g.key, answering(100), "lab/unpriced"))
                    assert eventually(lambda: len(g.usage()) >= 6, 6, 0.3)
                    assert g.stop() == 0
                    _made.update(data=g.data, config=g.config, day=time.strftime("%Y-%m-%d", time.gmtime()))
            except AssertionError as error:
                _made["error"] = f"no books to compare: {error}"
                raise
        return _made


def bill(text: str):
    path = ROOT / (name("bill") + ".csv")
    path.write_text(text)
    return path


def reconcile(path, *options: str, code: int | tuple[int, ...] = 0) -> dict:
    made = booked()
    done = cli("reconcile", str(path), *options, "--json", data_dir=made["data"], config=made["config"])
    codes = code if isinstance(code, tuple) else (code,)
    assert done.returncode in codes, f"exit {done.returncode}, not {codes}: {(done.stderr or done.stdout)[-200:]}"
    return json.loads(done.stdout) if done.stdout.strip().startswith("{") else {}


def row_of(told: dict, model_id: str) -> dict:
    rows = [row for row in told["drift"] if row["model"] == model_id]
    assert len(rows) == 1, f"{len(rows)} rows of {model_id}: {str(told)[:200]}"
    return rows[0]


@check("reconcile.same", "generic date,model,cost_usd: a bill that agrees is exit 0, drift 0, per model and day", timeout=40)
def _():
    day = booked()["day"]
    told = reconcile(bill(f"date,model,cost_usd\n{day},lab/out,0.003\n{day},lab/cheap,0.0001\n"), "--format", "generic")
    for model_id, cost in (("lab/out", "0.003"), ("lab/cheap", "0.0001")):
        row = row_of(told, model_id)
        assert row["date"] == day and usd(row["billed_usd"]) == usd(row["booked_usd"]) == Decimal(cost) and usd(row["drift_usd"]) == 0, f"{row}"


@check("reconcile.drift", "a bill 10 % higher for one model: exit 1, that row exceeds and says by how much; the other does not")
def _():
    day = booked()["day"]
    told = reconcile(bill(f"date,model,cost_usd\n{day},lab/out,0.0033\n{day},lab/cheap,0.0001\n"), code=1)
    row = row_of(told, "lab/out")
    assert row["exceeds"] is True and usd(row["drift_usd"]) == Decimal("0.0003") and abs(abs(row["drift_pct"]) - 10) < 1, f"{row}"
    assert row_of(told, "lab/cheap")["exceeds"] is False


@check("reconcile.threshold", "--threshold-pct: 10 % drift under a threshold of 15 is exit 0, above one of 5 exit 1")
def _():
    path = bill(f"date,model,cost_usd\n{booked()['day']},lab/out,0.0033\n{booked()['day']},lab/cheap,0.0001\n")
    reconcile(path, "--threshold-pct", "15")
    reconcile(path, "--threshold-pct", "5", code=1)


@check("reconcile.missing", "a model that is billed and not booked, and one booked and not billed, are drift: exit 1, both listed")
def _():
    day = booked()["day"]
    told = reconcile(bill(f"date,model,cost_usd\n{day},lab/dear,0.5\n{day},lab/cheap,0.0001\n"), code=1)
    assert usd(row_of(told, "lab/dear")["booked_usd"]) == 0 and row_of(told, "lab/dear")["exceeds"], f"{told}"
    assert usd(row_of(told, "lab/out")["billed_usd"]) == 0 and row_of(told, "lab/out")["exceeds"], f"{told}"


@check("reconcile.split", "several lines of a bill for one model and day are summed; the upstream's own model id is known; order and BOM do not matter")
def _():
    day = booked()["day"]
    text = f"\ufeffmodel,cost_usd,date\nlab/out,0.001,{day}\nmock-out,0.0015,{day}\nlab/cheap,0.0001,{day}\nlab/out,5e-4,{day}\n"
    assert usd(row_of(reconcile(bill(text)), "lab/out")["billed_usd"]) == Decimal("0.003")


@check("reconcile.openai", "--format openai: the costs export, by line item and currency")
def _():
    day = booked()["day"]
    text = "start_time,start_time_iso,end_time,amount_value,amount_currency,line_item\n"
    text += f"0,{day}T00:00:00+00:00,0,0.0010,usd,\"lab/out, input\"\n0,{day}T00:00:00+00:00,0,0.0020,usd,\"lab/out, output\"\n"
    text += f"0,{day}T00:00:00+00:00,0,0.0001,usd,\"lab/cheap, output\"\n"
    told = reconcile(bill(text), "--format", "openai")
    assert usd(row_of(told, "lab/out")["billed_usd"]) == Decimal("0.003")


@check("reconcile.openrouter", "--format openrouter: the activity export (date, model, usage)")
def _():
    day = booked()["day"]
    head = "date,model,model_permaslug,endpoint_id,provider_name,usage,byok_usage_inference,requests,prompt_tokens,completion_tokens,reasoning_tokens\n"
    rows = f"{day},lab/out,lab/out,e,Alpha,0.003,0,3,36,1500,0\n{day},lab/cheap,lab/cheap,e,Alpha,0.0001,0,1,12,500,0\n"
    told = reconcile(bill(head + rows), "--format", "openrouter")
    assert usd(row_of(told, "lab/out")["billed_usd"]) == Decimal("0.003")


for what, text in {
    "empty": "", "header": "day,thing,sum\n2026-01-01,lab/out,1\n", "cost": "date,model,cost_usd\n2026-01-01,lab/out,much\n",
    "nan": "date,model,cost_usd\n2026-01-01,lab/out,NaN\n", "date": "date,model,cost_usd\n31.12.2026,lab/out,1\n",
    "short": "date,model,cost_usd\n2026-01-01,lab/out\n", "binary": "\x00\x01\x02\n",
}.items():  # fmt: skip

    @check(f"reconcile.bad-{what}", f"a bill that is {what}: exit 2 with one line that says where, no traceback")
    def _(text=text, what=what):
        made = booked()
        done = cli("reconcile", str(bill(text)), data_dir=made["data"], config=made["config"])
        assert done.returncode == 2 and "Traceback" not in done.stderr, f"exit {done.returncode}: {(done.stderr or done.stdout)[-200:]}"
        assert what in ("empty", "header", "binary") or "2" in done.stderr, f"the line is not named: {done.stderr[-160:]}"


@check("reconcile.text", "without --json it prints a table with model, day, billed, booked and drift; a file that is not there: exit 2")
def _():
    made = booked()
    done = cli("reconcile", str(bill(f"date,model,cost_usd\n{made['day']},lab/out,0.0033\n")), data_dir=made["data"], config=made["config"])
    assert done.returncode == 1 and "lab/out" in done.stdout and made["day"] in done.stdout, f"exit {done.returncode}: {(done.stderr or done.stdout)[-200:]}"
    none = cli("reconcile", "/nowhere.csv", data_dir=made["data"])
    assert none.returncode == 2 and "nowhere.csv" in none.stderr and "Traceback" not in none.stderr, f"exit {none.returncode}: {none.stderr[-160:]}"


@check("reconcile.reprice", "--reprice prices what was unpriced once the price is known, in usage, roll-ups and ledger; verify stays ok; again: nothing", timeout=60)
def _():
    with own("reprice") as g:
        for _ in range(2):
            ok(ask(g, g.key, answering(100), "lab/unpriced"))
        assert eventually(lambda: len(g.usage()) >= 2, 6, 0.3) and g.stop() == 0
        priced = g.config.read_text().replace(model("lab/unpriced", "mock-unpriced", None), model("lab/unpriced", "mock-unpriced", ("0", "2.0")))
        assert priced != g.config.read_text()
        g.config.write_text(priced)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        done = cli("reconcile", str(bill(f"date,model,cost_usd\n{day},lab/unpriced,0.0004\n")), "--reprice", "--json", data_dir=g.data, config=g.config)
        assert done.returncode == 0, f"exit {done.returncode}: {(done.stderr or done.stdout)[-200:]}"
        told = json.loads(done.stdout)  # 0 where opening the books has priced them already
        assert told["repriced"] in (0, 2) and usd(row_of(told, "lab/unpriced")["booked_usd"]) == Decimal("0.0004"), f"{str(told)[:200]}"
        rows = [row for row in g.usage() if row["model"] == "lab/unpriced"]
        assert all(usd(row["cost_usd"]) == Decimal("0.0002") and row["pricing"] == "repriced" for row in rows), f"{rows[:1]}"
        again = cli_json_of("reconcile", str(bill(f"date,model,cost_usd\n{day},lab/unpriced,0.0004\n")), "--reprice", g=g)
        assert again["repriced"] == 0, f"priced twice: {again}"
        sums = cli_json_of("usage", "--by", "model", g=g)
        assert any(row["model"] == "lab/unpriced" and usd(row["cost_usd"]) == Decimal("0.0004") for row in sums), f"{str(sums)[:200]}"
        assert cli_json_of("ledger", "verify", g=g)["ok"] is True
