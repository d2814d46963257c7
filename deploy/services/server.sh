# shellcheck shell=sh disable=SC2034,SC2154 # the parts of services.sh share their variables
# A server as a process: launched apart from its launcher, found again by $dir/<service>.pid,
# ended. And what both servers share: ports, passwords, certificates. Part of services.sh.

patience=120 # seconds until a server that is not ready is given up

# Made once: whoever knows a port or a password finds the servers again after a restart.
choose_settings() {
    [ -e "$dir/tls" ] || make_certificates
    {
        echo "host=$host"
        choose_ports amqp amqps node epmd \
            s3 s3s s3_grpc master master_grpc volume volume_grpc filer filer_grpc
        echo "rabbitmq_series=$rabbitmq_series"
        echo "broker_password=$(random_hex 16)"
        echo "s3_key=$(random_hex 10)"
        echo "s3_secret=$(random_hex 20)"
    } >"$dir/settings.part"
    mv "$dir/settings.part" "$dir/settings"
}

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Below the ports that systems give to outgoing connections, so that a stopped server's stay free.
choose_ports() { # names
    "$python" - "$host" "$@" <<'END' || die "no free ports were found"
import random, socket, sys

def is_free(port):
    try:
        socket.create_server((sys.argv[1], port)).close()
        return True
    except OSError:
        return False

ports = filter(is_free, random.sample(range(20000, 32000), 500))
for name, port in zip(sys.argv[2:], ports, strict=False):
    print(f"{name}_port={port}")
END
}

# An authority for this folder alone, whose key is not kept, and one certificate for both servers.
make_certificates() {
    rm -rf "$dir/tls.part"
    mkdir "$dir/tls.part"
    (
        cd "$dir/tls.part"
        new_key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "$@"; }
        new_key -x509 -keyout ca.key -out ca.pem -days 3650 -subj '/CN=Stylefleet local CA'
        new_key -keyout server.key -out server.csr -subj '/CN=localhost'
        cat >server.ext <<END
subjectAltName = DNS:localhost, IP:$host
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
END
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
            -extfile server.ext -out server.pem
        rm ca.key ca.srl server.csr server.ext
    ) >"$dir/openssl.log" 2>&1 || die "openssl made no certificates: see $dir/openssl.log"
    mv "$dir/tls.part" "$dir/tls"
}

# A process is known by its number and by when it began: numbers come again.
began() { # process; prints nothing once it has ended, even where nobody has noticed yet
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" && $1 != "X" { print $20 }'
}

launch() { # service, command...: a process of its own session
    launched=$1
    shift
    # Without the locks: it would hold them for as long as it runs.
    setsid "$@" </dev/null >"$dir/$launched.log" 2>&1 3>&- 8>&- 9>&- &
    echo "$! $(began $!)" >"$dir/$launched.pid"
}

is_up() { # service; $pid is then its process
    read -r pid start 2>/dev/null <"$dir/$1.pid" && [ -n "$start" ] && [ "$(began "$pid")" = "$start" ]
}
is_down() { ! is_up "$1"; }

has_within() { # seconds, what to try
    deadline=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt $deadline ] || return 1
        sleep 0.1
    done
}

is_ready_or_down() { "is_ready_$1" || is_down "$1"; }

wait_until_ready() { # service
    in_time=yes
    has_within $patience is_ready_or_down "$1" || in_time=no
    if [ $in_time = yes ] && is_up "$1"; then
        say "$("about_$1")"
        return
    fi
    tail -n 30 "$dir/$1.log"
    say "the $1 $([ $in_time = yes ] && echo 'ended while it started' || echo "is not ready after $patience s"): above is the end of $dir/$1.log"
    exit 1
}

stop_server() { # service
    if is_up "$1"; then
        eval "grace=\$${1}_grace"
        kill "$pid" 2>/dev/null || true
        has_within "$grace" is_down "$1" || kill_group "$1"
        say "the $1 has stopped"
    fi
    "clean_$1" # also where the server itself is gone: what it left may not be
}

kill_server() { # service
    is_up "$1" || return 0
    kill_group "$1"
    say "the $1 was killed"
}

kill_group() { # service; its children as well
    kill -s KILL -- "-$pid" 2>/dev/null || true
    has_within 30 is_down "$1" || die "the $1, process $pid, cannot be killed"
}
