#!/bin/sh
# Acceptance checks of the dialects, on real processes and loopback sockets, against fake upstreams that speak and refuse as providers do.
#
#   acceptance/03.sh                          all of them
#   acceptance/03.sh '^pair.chat-gemini'      those whose id matches
#   acceptance/03.sh '^fake'                  the fakes alone, driven by the official SDKs: needs no gateway
#   acceptance/03.sh --list [regex]           what there is
#
# One line each: PASS id what | FAIL id what: seen | INFO id figure. At the end `passed N, failed M`; exit 1 if any failed.
# Needs .venv with the openai, anthropic and openrouter SDKs in it (./run setup dev). What is missing is told as INFO.
# On failures the gateways' logs and data are kept, and where is said.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
python=${KILO_ACCEPTANCE_PYTHON:-$root/.venv/bin/python}
if [ ! -x "$python" ]; then
    echo "FAIL setup .venv is there: no $python; make it with ./run setup dev"
    echo "passed 0, failed 1"
    exit 1
fi
export KILO_ACCEPTANCE_PYTHON="$python"
exec "$python" -B "$here/lib/main.py" --set 03 "$@"
