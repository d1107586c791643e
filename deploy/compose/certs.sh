#!/usr/bin/env bash
# Makes an authority and one certificate for both servers. Those MySQL makes for itself name no host,
# so nobody could verify more than who signed them.
#
#   certs.sh [DIRECTORY]      CERT_NAMES: who the servers are; CERT_OWNER: who may read their key
set -euo pipefail
cd "${1:-/certs}"

if [[ -e server.pem ]]; then exit 0; fi

cat >openssl.cnf <<END
[req]
prompt = no
distinguished_name = name
[name]
CN = landbridge compose
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${CERT_NAMES:-DNS:primary, DNS:ocean, DNS:replica}
END

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config openssl.cnf)
openssl req -x509 "${new_key[@]}" -extensions authority -days 3650 -keyout ca-key.pem -out ca.pem
openssl req "${new_key[@]}" -keyout server-key.pem -out server.csr
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 3650 \
    -extfile openssl.cnf -extensions server -out server.tmp

# Nobody signs anything with this authority again.
rm -f ca-key.pem ca.srl server.csr openssl.cnf
chmod 644 ca.pem server.tmp
chmod 600 server-key.pem
chown "${CERT_OWNER:-mysql}:" server-key.pem
mv server.tmp server.pem
