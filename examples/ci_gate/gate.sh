#!/bin/sh
# Exit 0: every claim holds, and this run is the next one's baseline. 1: one does not, and
# runs/new/report.html says which. Any other code: nothing was measured.
set -u
cd "$(dirname "$0")"
rm -rf runs/new
if [ -d runs/last ]; then
    set -- "$@" --baseline runs/last # more samples newly broken than chance explains: exit 1
fi
code=0
saddlepoint audit audit.toml "$@" || code=$?
case $code in
    0) rm -rf runs/last && mv runs/new runs/last ;;
    1) echo "a claim does not hold: see runs/new/report.html" ;;
    *) echo "nothing was measured" ;;
esac
exit "$code"
