#!/bin/bash
# Is the program of this container well?  For HEALTHCHECK; ends with 0 or 1.
#
#   healthcheck.sh                what the first process of the container should answer
#   healthcheck.sh http PORT      GET /health answers 200
#   healthcheck.sh resp PORT      PING is answered, if only with "a password, please" or "loading"
#   healthcheck.sh tcp PORT       somebody listens
set -u
read -r -d '' program </proc/1/cmdline || true
kind=${1:-} port=${2:-}
if [ -z "$kind" ]; then
    case "${program##*/}" in
    helios-gateway) kind=http port=8443 ;;
    helios-proxy) kind=tcp port=8080 ;;
    helios-worker) exit 0 ;; # it serves nobody; while it runs it is well
    *) kind=resp port=6379 ;;
    esac
fi
exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
case "$kind" in
http)
    printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    read -r -t 5 -u 3 _ status _ && [ "$status" = 200 ]
    ;;
resp)
    printf 'PING\r\n' >&3
    read -r -t 5 -u 3 reply && [[ "$reply" == +PONG* || "$reply" == -NOAUTH* || "$reply" == -LOADING* ]]
    ;;
tcp) ;;
*) exit 1 ;;
esac
