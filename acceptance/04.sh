#!/bin/sh
# Acceptance checks of money: ledger, leases, budgets, limits, users and keys, on real processes and loopback sockets.
#
#   acceptance/04.sh                       all of them
#   acceptance/04.sh '^lease'              those whose id matches
#   acceptance/04.sh --list [regex]        what there is
#
# One line each: PASS id what | FAIL id what: seen | INFO id figure. At the end `passed N, failed M`; exit 1 if any failed.
# KILO_ACCEPTANCE_REPEATS (20) is how often a race is run, KILO_ACCEPTANCE_KILLS (20) how many workers are killed; 200 make a soak.
# gcc builds the clock that is moved, /usr/lib/postgresql or a path the PostgreSQL: without them the checks that need it are INFO.
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
exec "$python" -B "$here/lib/main.py" --set 04 "$@"
