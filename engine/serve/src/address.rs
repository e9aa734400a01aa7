//! Where a listener listens, as the configuration says it.

use std::net::SocketAddr;

use tripline_base::{Diagnostic, Span};
use tripline_config::codes::BAD_VALUE;
use tripline_config::{At, Place, Said, Table};

use crate::codes;

/// Reads `listen` and `token`: an address, and a token where it is reached from elsewhere. None where something was wrong
/// and said.
pub fn address(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<(SocketAddr, Option<Place>)> {
    let listen = listen(table, example, said);
    let has_token = table.has("token");
    let token = table.secret("token", false, said);
    let At { value: listen, span } = listen?;
    if !listen.ip().is_loopback() && !has_token {
        said.push(open(listen, span).help("listen on `127.0.0.1`, or add `token = { env = \"NAME\" }`"));
        return None;
    }
    Some((listen, token))
}

/// Reads `listen`. None where something was wrong and said.
pub fn listen(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<At<SocketAddr>> {
    let At { value, span } = table.needed("listen", example, said)?;
    let local = value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(value) = local.as_ref().unwrap_or(&value).parse() else {
        said.push(
            Diagnostic::new(&BAD_VALUE, span, "`listen` takes an address and a port")
                .help(format!("such as `listen = {example}`")),
        );
        return None;
    };
    Some(At { value, span })
}

/// An address is open to anyone; whoever says it adds what to do.
pub fn open(listen: SocketAddr, at: Span) -> Diagnostic {
    Diagnostic::new(&codes::OPEN_LISTENER, at, format!("`{listen}` is reached from elsewhere"))
}
