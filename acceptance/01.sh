#!/bin/sh
# Acceptance checks of issue 1 ("The spine"), on real processes and loopback sockets.
#
#   acceptance/01.sh                 all of them (about 15 minutes)
#   acceptance/01.sh '^sse|^json'    those whose id matches
#   acceptance/01.sh --list [regex]  what there is
#
# One line each: PASS id what | FAIL id what: seen | INFO id figure. At the end `passed N, failed M`; exit 1 if any failed.
# Needs .venv with the openai SDK in it (./run setup dev), openssl for the TLS checks, and for run.* an index for pip.
# KILLS=200 for the long kill loop (20), RATE=500 its connections/s. On failures the gateways' logs and data are kept, and where is said.
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
exec "$python" -B "$here/lib/main.py" "$@"
