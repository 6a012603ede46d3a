#!/bin/sh
# Run once by Postgres' entry point, when it makes the database: a role for Grafana that may only read.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$(cat /run/secrets/grafana_database_password)" \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO grafana;
SQL
