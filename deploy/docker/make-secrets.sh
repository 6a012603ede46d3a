#!/bin/sh
# Make the secrets that compose.yaml names, in ./secrets beside this file; what is there already stays as it is.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
# Only you can enter the folder. The files in it are readable, since the containers' users are not yours.
chmod 700 secrets
umask 022

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

for name in postgres_password grafana_database_password grafana_admin_password; do
  [ -s "secrets/$name" ] || random >"secrets/$name"
done
[ -s secrets/database_url ] ||
  printf 'postgresql://breakeven:%s@postgres:5432/breakeven' "$(cat secrets/postgres_password)" >secrets/database_url
echo "secrets are in $(pwd)/secrets; Grafana's user is admin, its password in grafana_admin_password"
