#!/bin/sh
# End the nodes that start-cluster.sh started: asked first, after ten seconds killed.
set -eu
cd "${HELIOS_CLUSTER_DIR:-$(dirname "$0")/..}"
if [ ! -f data/cluster.pids ]; then
    echo "stop-cluster: there is no data/cluster.pids: nothing was started" >&2
    exit 1
fi

# A number may belong to another program by now.
ours() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -q -- '-data-dir=./data/node'; }

while read -r pid; do
    ! ours "$pid" || kill -TERM "$pid" 2>/dev/null || true
done <data/cluster.pids
tries=100
while read -r pid; do
    while ours "$pid"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
        sleep 0.1
    done
done <data/cluster.pids
rm -f data/cluster.pids
echo "the cluster is stopped"
