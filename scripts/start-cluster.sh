#!/bin/sh
# Three nodes on this machine, from nothing: what is in data/node1 .. node3 is removed.
#
#   scripts/start-cluster.sh      clients on 6379 to 6381, nodes among themselves on 7000 to 7002
#   scripts/stop-cluster.sh       ends them
#
# HELIOS_CLIENT_PORT and HELIOS_RAFT_PORT are the first port of each; HELIOS_PROGRAM is another program.
# For a cluster whose data stay, and that grows and shrinks: bin/helios cluster.
set -eu
cd "${HELIOS_CLUSTER_DIR:-$(dirname "$0")/..}"
client=${HELIOS_CLIENT_PORT:-6379}
raft=${HELIOS_RAFT_PORT:-7000}
program=${HELIOS_PROGRAM:-./bin/helios-atlasd}

[ -x "$program" ] || ./dev build
if [ -f data/cluster.pids ]; then
    echo "start-cluster: data/cluster.pids is there: a cluster may run; scripts/stop-cluster.sh ends it" >&2
    exit 1
fi
rm -rf data/node1 data/node2 data/node3
mkdir -p data

address() { echo "node-$1:127.0.0.1:$((raft + $1 - 1))"; }

for n in 1 2 3; do
    mkdir -p "data/node$n"
    HELIOS_RAFT_PEERS="$(address 1),$(address 2),$(address 3)" "$program" \
        -data-dir="./data/node$n" \
        -listen=":$((client + n - 1))" \
        -raft=true \
        -raft-node-id="node-$n" \
        -raft-addr="127.0.0.1:$((raft + n - 1))" \
        -raft-data-dir="./data/node$n/raft" >"data/node$n.log" 2>&1 &
    echo $! >>data/cluster.pids
done

tries=200
until redis-cli -p "$client" INFO 2>/dev/null | grep -q '^raft_leader:node-'; do
    tries=$((tries - 1))
    if [ "$tries" = 0 ]; then
        echo "start-cluster: no leader after 20 s: see data/node1.log" >&2
        exit 1
    fi
    sleep 0.1
done
redis-cli -p "$client" INFO | grep '^raft_leader:'
echo "clients:  redis-cli -p $client, $((client + 1)) or $((client + 2))"
echo "logs:     tail -f data/node1.log"
echo "the end:  scripts/stop-cluster.sh"
