"""What the operator reads at the start: what was found and from where, the URL, the key, and a command that works."""

import shlex
import shutil
from pathlib import Path

from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.core.brand import DISCLAIMER, PRODUCT, VERSION
from kilo_gateway.core.settings import Settings
from kilo_gateway.upstreams.demo import can_run, has_file

_QUESTION = "What is the capital of France?"
_HOW_TO_ADD = "add an upstream: set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]] in a --config file"


class Banner:
    """`port` is the real one, also when 0 was asked for."""

    def __init__(self, settings: Settings, port: int) -> None:
        self._settings = settings
        self._port = port
        self._is_shown = False
        self._missing = ""  # why the local model is
        local = settings.local
        self._is_fetched = local.is_demo_model and not has_file(local)
        self.local_model_runs = local.enabled and can_run() and (local.is_demo_model or has_file(local))

    def show(self) -> None:
        if self._is_shown:
            return
        self._is_shown = True
        for line in self._lines():
            print(line)
        print(flush=True)

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
        files = DataDirectory(settings.data_dir)
        host = settings.server.host if settings.server.host not in ("127.0.0.1", "0.0.0.0", "::", "::1") else "localhost"
        url = f"http://{f'[{host}]' if ':' in host else host}:{self._port}"
        lines = ["", f"{PRODUCT} {VERSION}. {DISCLAIMER}"]
        lines += [f"  configuration  {settings.config_file or 'none; defaults and environment'}"]
        lines += [f"  data           {settings.data_dir}"]
        lines += [f"  upstream       {up.name} ({self._models(up.models)}; {up.source})" for up in settings.upstreams]
        if not settings.upstreams:
            lines += [f"  upstream       none; {_HOW_TO_ADD}"]
        lines += [f"  local model    {self._local()}"]
        lines += [f"  note           {note}" for note in settings.notes]
        lines += ["", f"  URL            {url}", f"  your key       in {files.owner_key}", "", "Try it:", ""]
        return [*lines, f"  {self.command(url, files.owner_key)}"]

    def command(self, url: str, key: Path) -> str:
        message = f'{{"role":"user","content":"{_QUESTION}"}}'
        body = f'{{"model":"kilo/auto","stream":true,"temperature":0,"messages":[{message}]}}'
        path = f"{url}/v1/chat/completions"
        if shutil.which("curl"):
            return (
                f'curl -sN {path} -H "Authorization: Bearer $(cat {shlex.quote(str(key))})"'
                f" -H 'Content-Type: application/json' -d '{body}'"
            )
        code = (
            "import urllib.request as u;"
            f"[print(l.decode(),end='',flush=True) for l in u.urlopen(u.Request('{path}',b'{body}',"
            f"{{'Authorization':'Bearer '+open({str(key)!r}).read(),'Content-Type':'application/json'}}))]"
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
            return "SmolLM2-135M, a small demo model" + ("; being fetched (93 MB)" if self._is_fetched else "")
        return str(local.path) if has_file(local) else f"{local.path} does not exist; {_HOW_TO_ADD}"
