# shellcheck shell=bash
# Creates certificates for the servers of the tests, once in each run. Source it after lib.sh; it needs `begin`.

# make_certificates: sets $certificates, a folder of PEM files that are valid for two days:
#     ca.pem                          the authority that the tests trust
#     server.pem, server.key          a server certificate, for the name localhost only
#     server-with-key.pem             both in one file
#     expired-with-key.pem            an expired server certificate
#     client.pem, client.key          a client certificate; its key is encrypted, the password is in client.password
#     expired-client.pem, -.key       an expired client certificate
#     stranger-ca.pem                 an untrusted authority
#     stranger-client.pem, -.key      a client certificate that the untrusted authority has signed
make_certificates() {
    certificates=$scratch/certificates
    command -v openssl >/dev/null || need_packages openssl
    mkdir "$certificates"
    random_text >"$certificates/client.password"
    make_authority ca
    make_authority stranger-ca
    sign ca server 2 "DNS:localhost"
    sign ca expired -1 "DNS:localhost"
    sign ca client 2
    sign ca expired-client -1
    sign stranger-ca stranger-client 2
    local to=$certificates
    cat "$to/server.key" "$to/server.pem" >"$to/server-with-key.pem"
    cat "$to/expired.key" "$to/expired.pem" >"$to/expired-with-key.pem"
    run_quietly openssl openssl pkcs8 -topk8 -v2 aes-256-cbc -in "$to/client.key" -out "$to/encrypted" \
        -passout "file:$to/client.password" || fail "openssl could not encrypt a key"
    mv "$to/encrypted" "$to/client.key"
    chmod 600 "$to"/*.key "$to"/*-with-key.pem "$to/client.password"
}

# make_authority NAME: creates NAME.pem and NAME.key.
make_authority() {
    run_quietly openssl openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj "/O=billing-data-aggregator tests/CN=$1" -addext keyUsage=critical,keyCertSign \
        -keyout "$certificates/$1.key" -out "$certificates/$1.pem" || fail "openssl could not create an authority"
}

# sign AUTHORITY NAME DAYS [SUBJECT-ALTERNATIVE-NAME]: creates NAME.pem and NAME.key; with negative days the certificate
# has expired.
sign() {
    local to=$certificates/$2
    printf '%s\n' "basicConstraints=CA:FALSE" ${4:+"subjectAltName=$4"} >"$to.extensions"
    run_quietly openssl openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/O=billing-data-aggregator tests/CN=$2" -keyout "$to.key" -out "$to.request" ||
        fail "openssl could not create a key"
    run_quietly openssl openssl x509 -req -in "$to.request" -CA "$certificates/$1.pem" -CAkey "$certificates/$1.key" \
        -CAcreateserial -days "$3" -extfile "$to.extensions" -out "$to.pem" ||
        fail "openssl could not create a certificate"
    rm "$to.request" "$to.extensions"
}
