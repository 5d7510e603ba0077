#!/bin/sh
# How fast is the server on port 6379, roughly: 10,000 SET, 10,000 GET, 10,000 mixed (70 % GET), 1,000
# EXPIRE, on one connection and on fifty.  ./dev bench compares with others, and says how it measures.
#
#   scripts/benchmark.sh [PORT]
set -eu
port=${1:-6379}
redis-cli -p "$port" PING >/dev/null

run() { # connections, requests, name, command...
    connections=$1 requests=$2 name=$3
    shift 3
    rate=$(redis-benchmark -p "$port" -c "$connections" -n "$requests" -r 10000 --csv "$@" |
        tail -n 1 | cut -d, -f2 | tr -d '"')
    printf '%-9s %3s connections %12s op/s\n' "$name" "$connections" "$rate"
}

for connections in 1 50; do
    run $connections 10000 SET SET bench:__rand_int__ value
    run $connections 10000 GET GET bench:__rand_int__
    run $connections 7000 "mixed GET" GET bench:__rand_int__
    run $connections 3000 "mixed SET" SET bench:__rand_int__ value
    run $connections 1000 EXPIRE EXPIRE bench:__rand_int__ 60
done
