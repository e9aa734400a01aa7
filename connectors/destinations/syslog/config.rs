//! `kind = "syslog"` with `address`, and how it is spoken to.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::{Destination, Pace, Parcel, Settings};

use super::destination::{Line, Transport, tls};
use super::encode::{Format, Layout};
use tripline_connect::Trust;

#[derive(Debug)]
struct Syslog {
    host: String,
    port: u16,
    transport: &'static str,
    layout: Layout,
    trust: Trust,
}

/// Names of facilities; the place of each is its number (RFC 5424).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// The longest host name that a message may have (RFC 5424).
const HOSTNAME: usize = 255;

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let address = table.needed("address", "\"siem.example.com:6514\"", said);
    let parts = address.as_ref().and_then(|address| {
        let (host, port) = address.value.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok().filter(|port| *port > 0)?;
        (!host.is_empty()).then(|| (host.to_string(), port))
    });
    if let (Some(address), None) = (&address, &parts) {
        said.bad(address.span, "`address` takes a host and a port, as in `\"siem.example.com:6514\"`");
    }
    let transport = table.choice("transport", &["udp", "tcp", "tls"], said).unwrap_or("tls");
    let format = match table.choice("format", &["cef", "json"], said) {
        Some("json") => Format::Json,
        _ => Format::Cef,
    };
    let facility = table.choice("facility", &FACILITIES, said).unwrap_or("local0");
    let facility = FACILITIES.iter().position(|name| *name == facility).unwrap_or(16);
    let hostname = table.text("hostname", said);
    if let Some(name) = &hostname
        && (name.value.is_empty() || name.value.len() > HOSTNAME || !name.value.bytes().all(|b| b.is_ascii_graphic()))
    {
        said.bad(name.span, "`hostname` takes 1 to 255 characters of ASCII without spaces");
    }
    let plain = if transport == "udp" { 2 << 10 } else { 8 << 10 };
    let size = table.size("size", plain, ("1KiB", "64KiB"), said);
    let most = if transport == "udp" { size.min(super::destination::DATAGRAM) } else { size };
    let named = ["ca", "certificate", "key"].into_iter().find(|key| table.has(key));
    let trust = Trust::read(table, said);
    if let (Some(key), false) = (named, transport == "tls") {
        said.bad(table.span, format!("`{key}` is for `transport = \"tls\"`, and this is `\"{transport}\"`"));
    }
    let (host, port) = parts?;
    let layout = Layout {
        facility,
        hostname: hostname.map_or_else(|| "-".to_string(), |name| name.value),
        format,
        most: usize::try_from(most).unwrap_or(8 << 10),
    };
    Some(Arc::new(Syslog { host, port, transport, layout, trust }))
}

impl Settings for Syslog {
    fn secrets(&self) -> Vec<&Place> {
        Vec::new()
    }

    fn open(&self, _: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let transport = match self.transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => Transport::Tls(tls(&self.host, &self.trust.open(folder)?)?),
        };
        Ok(Box::new(Line::new((self.host.clone(), self.port), transport, self.layout.clone(), pace.timeout)))
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        self.layout.message(parcel).ok_or_else(|| self.layout.too_long())
    }
}
