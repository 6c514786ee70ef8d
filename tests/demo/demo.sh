#!/bin/sh
# ./x demo: three namespaces in a row, Ravelin in the middle, real programs at both ends.
#
#   client 10.64.0.1 --- r0 [ ravelin ] r1 --- 10.64.0.2 server
#
# Everything is made in namespaces of its own and removed in the end, however it ends. As an ordinary user, or where
# AF_XDP is missing, the same pipeline runs over a capture that the repository carries.
set -eu

ravelin=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
client=ravelin-demo-$$-client middle=ravelin-demo-$$-middle server=ravelin-demo-$$-server
socket=$work/control.sock
pids=""

clean_up() {
    trap - EXIT
    trap '' INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    for name in $client $middle $server; do ip netns delete "$name" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
at() { host=$1; shift; ip netns exec "$host" "$@"; }
show() { at "$middle" "$ravelin" show "$@" --socket "$socket"; }
background() { host=$1; shift; ip netns exec "$host" "$@" >>"$work/background.log" 2>&1 & pids="$! $pids"; }

offline() {
    say "The same pipeline over a capture, without privileges: ravelin replay"
    cd "$root/tests/scenarios/allow-deny"
    cat README.md
    say "Who is protected, and what may reach them"
    cat config.toml
    say "What became of each connection"
    "$ravelin" replay input.pcap -c config.toml --records -
    exit 0
}

until_true() { # waits for a condition, a minute at the most
    tries=600
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "demo: waited in vain for: $*" >&2; cat "$work"/*.log >&2; exit 1; }
        sleep 0.1
    done
}

if [ "$(id -u)" -ne 0 ]; then
    echo "demo: taking over interfaces needs root, and you are $(id -un). Run it as root to see the bridge."
    offline
fi

say "Three namespaces: client, ravelin in the middle, server"
for name in $client $middle $server; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
ip link add r0 netns "$middle" type veth peer name a0 netns "$client"
ip link add r1 netns "$middle" type veth peer name b0 netns "$server"
ip -n "$client" address add 10.64.0.1/24 dev a0
ip -n "$server" address add 10.64.0.2/24 dev b0
ip -n "$client" link set a0 up
ip -n "$server" link set b0 up
ip -n "$middle" link set r0 up
ip -n "$middle" link set r1 up

cat >"$work/ravelin.toml" <<TOML
[[bridge]]
name = "demo"
ports = ["r0", "r1"]          # outside, inside

[[endpoint]]                  # who lives on the network
name = "server"
addresses = ["10.64.0.2"]
labels = { role = "server" }

[[policy]]                    # what may talk to whom
name = "server"
selector = "role == 'server'"
on_change = "reset"           # what a change denies ends at once, also while it runs

[[policy.ingress]]
action = "allow"
protocol = "icmp"

[[policy.ingress]]
action = "allow"
protocol = "udp"
destination = { ports = [53] }

[[policy.ingress]]
action = "allow"
protocol = "tcp"
destination = { ports = [80, 5201] }

[[policy.ingress]]
action = "reject"             # denies, and tells the sender
protocol = "tcp"
destination = { ports = [23] }

[records]
file = "$work/flows.json"

[control]
socket = "$socket"
TOML
cat "$work/ravelin.toml"

say "ravelin run"
ip netns exec "$middle" "$ravelin" run -c "$work/ravelin.toml" >"$work/ravelin.log" 2>&1 &
ravelin_pid=$!
pids="$ravelin_pid"
answers() { show status || ! kill -0 "$ravelin_pid"; }
until_true answers
if ! kill -0 "$ravelin_pid" 2>/dev/null; then
    cat "$work/ravelin.log"
    echo "demo: ravelin cannot take the interfaces over here; the reason is above."
    offline
fi
cat "$work/ravelin.log"

mkdir "$work/www"
head -c 100000000 /dev/urandom >"$work/www/file"
background "$server" busybox httpd -f -p 80 -h "$work/www"
background "$server" dnsmasq --keep-in-foreground --no-resolv --no-hosts --port=53 --pid-file= --user=root \
    --address=/ravelin.example/10.64.0.2
background "$server" iperf3 --server
background "$server" nc -l -k -p 23
background "$server" nc -l -k -p 8080
until_true at "$server" sh -c 'ss -Hltn | grep -q :80 && ss -Hltn | grep -q :5201 && ss -Hlun | grep -q :53'

say "ping"
at "$client" ping -c 20 -i 0.05 -q 10.64.0.2 | tail -n 2
show flows --proto icmp

say "dig ravelin.example"
at "$client" dig +short +tries=1 @10.64.0.2 ravelin.example
show flows --port 53

say "curl, 100 MB, checksums compared"
at "$client" curl -sS -o "$work/download" -w '%{size_download} bytes in %{time_total} s: %{speed_download} bytes/s\n' \
    http://10.64.0.2/file
cmp "$work/www/file" "$work/download" && echo "what arrived is what was sent"
show flows --port 80

say "What will become of telnet? Nobody has to try: ravelin explain"
"$ravelin" explain -c "$work/ravelin.toml" --from 10.64.0.1 --to server --port 23

say "telnet, which the policy rejects: refused at once"
at "$client" nc -v -z -w 2 10.64.0.2 23 2>&1 && { echo "demo: the rule did not hold" >&2; exit 1; }
show flows --port 23

say "A port of which the policy does not speak, so it is denied: nothing answers"
at "$client" nc -v -z -w 2 10.64.0.2 8080 2>&1 && { echo "demo: the tier did not deny" >&2; exit 1; }
show flows --port 8080

say "iperf3, TCP"
at "$client" iperf3 -c 10.64.0.2 -t 5 -f m | grep -E 'sender|receiver'
show flows --port 5201 --top bytes

say "The policy changes while iperf3 runs: its port is not allowed any more, and its connections are reset"
at "$client" iperf3 -c 10.64.0.2 -t 60 -f m >"$work/iperf3" 2>&1 &
pids="$! $pids"
until_true grep -q 'Mbits/sec' "$work/iperf3"
sed -i 's/80, 5201/80/' "$work/ravelin.toml"
at "$middle" "$ravelin" reload --socket "$socket"
wait "${pids%% *}" && { echo "demo: the change did not bite" >&2; exit 1; }
grep 'iperf3: error' "$work/iperf3"
show flows --port 5201 --verdict deny

say "What was dropped, and why"
show drops

say "What was counted"
show counters
show interfaces

say "Flow records, one for each connection, as it ends: here curl's and telnet's"
kill -TERM "$ravelin_pid"
wait "$ravelin_pid" || { cat "$work/ravelin.log" >&2; exit 1; }
grep -E '"dest_port":(80|23),' "$work/flows.json"
printf 'and %s more\n' "$(grep -cvE '"dest_port":(80|23),' "$work/flows.json")"

say "ravelin has stopped and given the interfaces back; the namespaces go now"
