# shellcheck shell=bash
# Run once by the image's entry point, on a replica's empty data directory.
#
# What the entry point itself wrote to the binary log must not look like transactions the primary
# has never heard of. SET PERSIST, because read-only from the first start would keep the entry point
# from making its accounts.
mysql --protocol=socket --user=root --password="$MYSQL_ROOT_PASSWORD" <<END
RESET BINARY LOGS AND GTIDS;
CHANGE REPLICATION SOURCE TO
  SOURCE_HOST = '${PRIMARY_HOST:-ocean}', SOURCE_PORT = ${PRIMARY_PORT:-3306},
  SOURCE_USER = 'replication', SOURCE_PASSWORD = '$REPLICATION_DB_PASSWORD', SOURCE_AUTO_POSITION = 1,
  SOURCE_SSL = 1, SOURCE_SSL_CA = '${CERTS:-/certs}/ca.pem', SOURCE_SSL_VERIFY_SERVER_CERT = 1,
  SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400;
START REPLICA;
SET PERSIST super_read_only = ON;
END
