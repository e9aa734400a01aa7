//! Where a listener listens, as the configuration says it.

use std::net::SocketAddr;

use tripline_base::Diagnostic;
use tripline_config::codes::BAD_VALUE;
use tripline_config::{Place, Said, Table};

use crate::codes;

/// Reads `listen` and `token`: an address, and a token where it is reached from elsewhere. None where something was wrong
/// and said.
pub fn address(table: &mut Table<'_>, example: &str, said: &mut Said<'_>) -> Option<(SocketAddr, Option<Place>)> {
    let written = table.needed("listen", example, said);
    let has_token = table.has("token");
    let token = table.secret("token", false, said);
    let written = written?;
    let text = written.value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(listen) = text.as_ref().unwrap_or(&written.value).parse::<SocketAddr>() else {
        said.push(
            Diagnostic::new(&BAD_VALUE, written.span, "`listen` takes an address and a port")
                .help(format!("such as `listen = {example}`")),
        );
        return None;
    };
    if !listen.ip().is_loopback() && !has_token {
        said.push(
            Diagnostic::new(&codes::OPEN_LISTENER, written.span, format!("`{listen}` is reached from elsewhere"))
                .help("listen on `127.0.0.1`, or add `token = { env = \"NAME\" }`"),
        );
        return None;
    }
    Some((listen, token))
}
