"""LiteLLM's proxy, to be measured beside: installed from PyPI into a virtual environment of its own, in the user's cache.

It is no dependency of anything here. Telemetry is off, its table of prices is the one in its package, there is no database.
"""

import os
import subprocess
import sys
from pathlib import Path

from gateways import DidNotStart, Recipe

# The newest whose extra [proxy] could be had whole on the day of the figures.
VERSION = "1.106.12"
NAME = "litellm"
KEY = "sk-bench"
_ENVIRONMENT = {
    "LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION",
    "DO_NOT_TRACK": "1", "NO_DOCS": "True",
}  # fmt: skip
_INSTALL_S = 1_200


def recipe(port: int, upstreams: dict[str, str], upstream_id: str, directory: Path) -> Recipe:
    """`upstreams`: base URL by the name that callers ask for. One worker, as the gateway has."""
    directory.mkdir(parents=True, exist_ok=True)
    models = "".join(
        f"  - model_name: {name}\n"
        f"    litellm_params: {{model: gemini/{upstream_id}, api_base: '{url}', api_key: sk-upstream}}\n"
        for name, url in upstreams.items()
    )
    settings = "litellm_settings: {telemetry: false, num_retries: 0}\n"
    configuration = directory / "litellm.yaml"
    configuration.write_text(f"model_list:\n{models}{settings}")
    options = ("--config", str(configuration), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    return Recipe(NAME, port, (str(installed()), *options), directory, environment=_ENVIRONMENT)


def installed() -> Path:
    """The proxy's command; installed when it is not there. Raises DidNotStart."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kilo-gateway" / "bench"
    directory = cache / f"litellm-{VERSION}"
    mark = directory / "installed"
    if not mark.exists():
        print(f"installing LiteLLM {VERSION} into {directory} ...", file=sys.stderr, flush=True)
        pip = (str(directory / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", f"litellm[proxy]=={VERSION}")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
            subprocess.run(pip, check=True, timeout=_INSTALL_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise DidNotStart(f"LiteLLM {VERSION} cannot be installed: {error}; see --without-litellm") from error
        mark.touch()
    return directory / "bin/litellm"

