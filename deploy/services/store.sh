# shellcheck shell=sh disable=SC2034,SC2154 # the parts of services.sh share their variables
# SeaweedFS: master, volume server, filer and S3 gateway in one process. Part of services.sh.

# Seconds to stop in. Data are written at once; then its filer waits 15 s for subscribers, which
# are parts of the same process.
store_grace=2

launch_store() {
    mkdir -p "$dir/store/data"
    # The reader is for tests of what happens to those who may not write.
    cat >"$dir/store/s3.json" <<END
{"identities": [{"name": "stylefleet", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$s3_key", "secretKey": "$s3_secret"}]},
 {"name": "reader", "actions": ["Read", "List"],
  "credentials": [{"accessKey": "reader", "secretKey": "$s3_secret"}]}]}
END
    printf 'user = "%s:%s"\naws-sigv4 = "aws:amz:us-east-1:s3"\n' "$s3_key" "$s3_secret" >"$dir/store/curlrc"
    # Each bucket has volumes of its own: one at a time, not the usual seven, and small ones.
    printf '[master.volume_growth]\ncopy_1 = 1\n' >"$dir/store/master.toml"
    # It is its only master: no need to wait 10 s for votes of others after a restart.
    cat >"$dir/store/options" <<END
dir=$dir/store/data
ip=$host
ip.bind=$host
master.port=$master_port
master.port.grpc=$master_grpc_port
master.electionTimeout=500ms
master.volumeSizeLimitMB=64
master.telemetry=false
volume.port=$volume_port
volume.port.grpc=$volume_grpc_port
volume.max=0
volume.minFreeSpace=100MiB
volume.preStopSeconds=0
filer=true
filer.port=$filer_port
filer.port.grpc=$filer_grpc_port
filer.localSocket=$dir/store/filer.sock
s3=true
s3.port=$s3_port
s3.port.grpc=$s3_grpc_port
s3.port.https=$s3s_port
s3.port.iceberg=0
s3.port.lance=0
s3.localSocket=$dir/store/s3.sock
s3.cert.file=$dir/tls/server.pem
s3.key.file=$dir/tls/server.key
s3.config=$dir/store/s3.json
s3.autoCreateBucket=false
END
    launch store "$weed" -logtostderr -config_dir="$dir/store" server -options="$dir/store/options"
}

ask_store() { # curl's arguments; true once it succeeds
    curl -fs -m 5 -o "$dir/store/answer" "$@"
}

# Ready is a store whose bucket is there, and whose filer has kept some bytes in a volume.
is_ready_store() {
    bucket=http://$host:$s3_port/stylefleet
    { ask_store -K "$dir/store/curlrc" -I "$bucket" || ask_store -K "$dir/store/curlrc" -X PUT "$bucket"; } &&
        echo ready | ask_store -T - "http://$host:$filer_port/ready"
}

clean_store() { # the sockets whose place has no option
    for port in $master_grpc_port $volume_grpc_port $filer_grpc_port $s3_grpc_port; do
        rm -f /tmp/seaweedfs-*-grpc-"$port".sock
    done
}

about_store() { echo "SeaweedFS serves S3 at http://$host:$s3_port (process $pid, log in $dir/store.log)"; }
