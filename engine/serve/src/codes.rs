//! The diagnostics of listeners.

tripline_base::codes! {
    /// All codes of listeners.
    pub ALL;
    OPEN_LISTENER = "T0507" error "open-listener" "a listener beyond loopback is open to anyone"
"Whoever reaches the port could send events, read what the service counts, or try tokens of the API. Listen on
`127.0.0.1` or `[::1]`, or give a `token`, which clients send as `Authorization: Bearer …`. Put a proxy with TLS in
front of it. Syslog knows no tokens: there, say in `allow` who may send, or with TLS in `client_ca` whose certificates do.";
}
