#!/bin/sh
# Makes the bucket and the two users on MinIO, with the policies of deploy/s3. See minio.yaml.
set -eu

user() { # name, secret
    # By standard input, two lines: arguments are there for every process to read.
    printf '%s\n%s\n' "stylefleet-$1" "$2" | mc admin user add store
    mc admin policy create store "stylefleet-$1" "/policies/$1.policy.json"
    # MinIO refuses to attach a policy twice.
    case $(mc admin user info store "stylefleet-$1") in
    *"PolicyName: stylefleet-$1"*) ;;
    *) mc admin policy attach store "stylefleet-$1" --user "stylefleet-$1" ;;
    esac
}

mc mb --ignore-existing store/stylefleet
user dispatcher "$DISPATCHER_SECRET"
user worker "$WORKER_SECRET"
