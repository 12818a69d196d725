#!/bin/sh
# Makes secrets/, once: a password of the database and the token of the API, for compose.yaml and for k8s/. Nothing is printed.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir secrets || { echo "secrets.sh: secrets/ is there already; a new password would not be the database's" >&2; exit 1; }
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
password=$(random)
cat >secrets/mariadb.env <<END
MARIADB_DATABASE=weir
MARIADB_USER=weir
MARIADB_PASSWORD=$password
MARIADB_RANDOM_ROOT_PASSWORD=1
END
echo "WEIR_STORE=mysql://weir:$password@mariadb:3306/weir" >secrets/weir.env
random >secrets/weir.token
