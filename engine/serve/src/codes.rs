//! The diagnostics of listeners.

tripline_base::codes! {
    /// All codes of listeners.
    pub ALL;
    OPEN_LISTENER = "T0507" error "open-listener" "a listener beyond loopback is open to anyone"
"Whoever reaches the port could send events, read what the service counts, or try tokens of the API. Listen on
`127.0.0.1` or `[::1]`, or give a `token`, which clients send as `Authorization: Bearer …`. Certificates of clients do as
well: `tls = { certificate = \"…\", key = \"…\", client_ca = \"…\" }`. A token alone can be read on the way: add `tls`, or
put a proxy with TLS in front of the listener. Syslog knows no tokens: there, say in `allow` who may send.";
    BAD_CERTIFICATE = "T0513" error "bad-certificate" "the certificate or the key of a listener cannot be used"
"`certificate` names a file with the certificate and those that it was signed with, `key` one with its private key,
`client_ca` one with the authorities whose certificates clients show. All are PEM, and are read by the user that the
service runs as; relative paths begin at the folder of the configuration. The key has to be that of the first certificate.";
}
