"""What the operator reads at the start: what was found and from where, the URL, the key, and a command that works."""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TextIO

from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.core.brand import DISCLAIMER, PRODUCT, VERSION
from kilo_gateway.core.settings import Settings
from kilo_gateway.upstreams.demo import can_run, has_file, local_id

_QUESTION = "What is the capital of France?"
_HOW_TO_ADD = "add an upstream: set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]] in a --config file"


class Banner:
    """`port` is the real one, also when 0 was asked for. `json_to`: where one line of JSON goes instead of all words."""

    def __init__(self, settings: Settings, port: int, json_to: TextIO | None = None) -> None:
        self._settings = settings
        self._files = DataDirectory(settings.data_dir)
        self._port = port
        self._json_to = json_to
        self._is_shown = False
        self._missing = ""  # why the local model is
        local = settings.local
        self._is_fetched = local.is_demo_model and not has_file(local)
        self.local_model_runs = local.enabled and can_run() and (local.is_demo_model or has_file(local))

    def show(self) -> None:
        if self._is_shown:
            return
        self._is_shown = True
        if self._json_to is not None:
            print(json.dumps(self._facts()), file=self._json_to, flush=True)
            return
        for line in self._lines():
            print(line)
        print(flush=True)

    def has_key(self) -> bool:
        """Whether the command that is printed can carry one."""
        try:
            return bool(self._files.owner_key.read_text().strip())
        except (OSError, UnicodeDecodeError):
            return False

    def no_local_model(self, reason: str) -> None:
        self._missing = f"cannot be fetched ({reason})"
        if self._is_shown:
            remedy = "" if self._settings.upstreams else f" To get answers, {_HOW_TO_ADD}."
            print(f"The local model {self._missing}; the gateway runs without it.{remedy}", flush=True)

    def local_model_is_there(self) -> None:
        """Told when somebody may be waiting for it."""
        if self._is_fetched and self._is_shown:
            print("The local model is there and answers.", flush=True)
        self._is_fetched = False

    def stopping(self) -> None:
        print("Stopping: running requests may finish; once more to cut them.", flush=True)

    def _lines(self) -> list[str]:
        settings = self._settings
        url, key = self._url(), self._files.owner_key
        lines = ["", f"{PRODUCT} {VERSION}. {DISCLAIMER}"]
        lines += [f"  configuration  {settings.config_file or 'none; defaults and environment'}"]
        lines += [f"  data           {settings.data_dir}"]
        lines += [f"  upstream       {up.name} ({self._models(up.models)}; {up.source})" for up in settings.upstreams]
        if not settings.upstreams:
            lines += [f"  upstream       none; {_HOW_TO_ADD}"]
        lines += [f"  local model    {self._local()}"]
        lines += [f"  note           {note}" for note in settings.notes]
        lines += ["", f"  URL            {url}", f"  your key       {f'in {key}' if self.has_key() else self._no_key()}"]
        return [*lines, "", "Try it:", "", f"  {self.command(url, key)}"]

    def _facts(self) -> dict[str, object]:
        settings = self._settings
        return {
            "url": self._url(), "owner_key": str(self._files.owner_key) if self.has_key() else None,
            "data_dir": str(settings.data_dir), "config_file": settings.config_file and str(settings.config_file),
            "upstreams": [
                {"name": each.name, "models": [model.id for model in each.models], "source": each.source}
                for each in settings.upstreams
            ],
            "local_model": local_id(settings.local) if self.local_model_runs and not self._missing else None,
            "notes": list(settings.notes),
        }  # fmt: skip

    def _url(self) -> str:
        host = self._host()
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def _host(self) -> str:
        host = self._settings.server.host
        return host if host not in ("127.0.0.1", "0.0.0.0", "::", "::1") else "localhost"

    def _no_key(self) -> str:
        """With a command that makes another where the first one was, so that what is printed below works."""
        key, own = self._files.owner_key, Path(sys.executable).with_name("kilo-gateway")
        program = shlex.quote(str(own)) if own.exists() else f"{shlex.quote(sys.executable)} -m kilo_gateway"
        make = f"{program} keys create --name owner-2 --data-dir {shlex.quote(str(self._settings.data_dir))}"
        return f"{key} is missing or empty; make another: (umask 077; printf %s \"$({make})\" >{shlex.quote(str(key))})"

    def command(self, url: str, key: Path) -> str:
        message = f'{{"role":"user","content":"{_QUESTION}"}}'
        body = f'{{"model":"kilo/auto","stream":true,"temperature":0,"messages":[{message}]}}'
        path = f"{url}/v1/chat/completions"
        if shutil.which("curl"):
            return (
                f'curl -sSN --noproxy {self._host()} {path} -H "Authorization: Bearer $(cat {shlex.quote(str(key))})"'
                f" -H 'Content-Type: application/json' -d '{body}'"
            )
        code = (
            "import urllib.request as u;o=u.build_opener(u.ProxyHandler({}));"
            f"[print(l.decode(),end='',flush=True) for l in o.open(u.Request('{path}',b'{body}',"
            f"{{'Authorization':'Bearer '+open({str(key)!r}).read().strip(),'Content-Type':'application/json'}}))]"
        )
        return f"python3 -c {shlex.quote(code)}"

    def _models(self, models: tuple[object, ...]) -> str:
        return f"{len(models)} model{'s' if len(models) != 1 else ''}" if models else "models discovered"

    def _local(self) -> str:
        local = self._settings.local
        if not local.enabled:
            return "off"
        if not can_run():
            return "not installed: pip install 'kilo-gateway[local]'"
        if self._missing:
            return f"{self._missing}; the gateway runs without it"
        if local.is_demo_model:
            awaited = "; being fetched (93 MB), and requests wait for it" if self._is_fetched else ""
            return f"SmolLM2-135M, a small demo model{awaited}"
        return str(local.path) if has_file(local) else f"{local.path} does not exist; {_HOW_TO_ADD}"
