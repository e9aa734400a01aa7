//! `kind = "syslog"` in the configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use tripline_config::{Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_serve::Tls;

use super::source::{Listening, Socket};

pub(crate) const KIND: SourceKind = SourceKind { name: "syslog", read };

/// How much the system is asked to hold where nothing is said (bytes).
const RECEIVE: u64 = 4 << 20;
/// The keys of TLS.
const FILES: [&str; 3] = ["certificate", "key", "client_ca"];

/// How messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
    Tls,
}

/// A place where syslog is sent to.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub listen: SocketAddr,
    pub protocol: Protocol,
    pub tls: Option<Tls>,
    /// The networks that may send; all where there are none.
    pub allow: Vec<IpNet>,
    /// The longest message (bytes).
    pub max_message: usize,
    /// How many senders may be connected at once.
    pub max_connections: usize,
    /// How much the system is asked to hold of datagrams that were not read yet (bytes), and whether that was written.
    pub receive_buffer: (usize, bool),
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let listen = tripline_serve::listen(table, "\"127.0.0.1:5514\"", said);
    if !table.has("protocol") {
        table.lacks("protocol", "\"tcp\"", said);
    }
    let protocol = table.choice("protocol", &["udp", "tcp", "tls"], said).map(|name| match name {
        "udp" => Protocol::Udp,
        "tls" => Protocol::Tls,
        _ => Protocol::Tcp,
    });
    let allow = networks(table, said);
    let max_message = table.size("max_message", 64 << 10, ("1KiB", "1MiB"), said);
    let max_connections = table.number("max_connections", 1_024, 1..=10_000, said);
    let written = table.has("receive_buffer");
    let receive_buffer = table.size("receive_buffer", RECEIVE, ("64KiB", "1GiB"), said);
    let connections = table.has("max_connections");
    let files = FILES.iter().any(|key| table.has(key));
    let tls = match protocol {
        Some(Protocol::Tls) => Some(Tls::keys(table, said)?),
        _ => {
            FILES.into_iter().for_each(|key| drop(table.text(key, said)));
            None
        }
    };
    let (listen, protocol) = (listen?, protocol?);
    let wrong = match protocol {
        Protocol::Udp | Protocol::Tcp if files => {
            Some("`certificate`, `key` and `client_ca` are for `protocol = \"tls\"`")
        }
        Protocol::Udp if connections => Some("`max_connections` is for `tcp` and `tls`: datagrams have no connections"),
        Protocol::Tcp | Protocol::Tls if written => {
            Some("`receive_buffer` is for `udp`: the other protocols lose nothing there")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        said.bad(table.span, wrong);
        return None;
    }
    if !listen.value.ip().is_loopback()
        && allow.is_empty()
        && !tls.as_ref().is_some_and(Tls::asks)
        && !table.has("allow")
    {
        let help = "syslog knows no passwords: name the networks that may send, as in `allow = [\"192.0.2.0/24\"]`";
        let also = "; over TLS `client_ca` does, too: senders then show a certificate";
        let also = if protocol == Protocol::Tls { also } else { "" };
        said.push(tripline_serve::open(listen.value, listen.span).help(format!("{help}{also}")));
        return None;
    }
    Some(Arc::new(Listener {
        listen: listen.value,
        protocol,
        tls,
        allow,
        max_message: usize::try_from(max_message).unwrap_or(64 << 10),
        max_connections: usize::try_from(max_connections).unwrap_or(1_024),
        receive_buffer: (usize::try_from(receive_buffer).unwrap_or(4 << 20), written),
    }))
}

/// Networks and addresses.
fn networks(table: &mut Table<'_>, said: &mut Said<'_>) -> Vec<IpNet> {
    let written = table.texts("allow", said);
    let mut out = Vec::new();
    for one in written.iter().flatten() {
        let address = || one.value.parse::<IpAddr>().ok().map(IpNet::from);
        match one.value.parse::<IpNet>().ok().or_else(address) {
            Some(network) => out.push(network),
            None => {
                said.bad(one.span, "`allow` takes networks and addresses, as in `[\"192.0.2.0/24\", \"2001:db8::5\"]`")
            }
        }
    }
    if written.is_some_and(|all| all.is_empty()) {
        said.bad(table.span, "`allow` names nobody: name the networks that may send, or leave it out on loopback");
    }
    out
}

impl Listener {
    /// Whether somebody may send.
    pub fn admits(&self, sender: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&sender))
    }
}

impl Protocol {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
        }
    }
}

impl SourceSettings for Listener {
    fn place(&self) -> String {
        format!("{}://{}", self.protocol.name(), self.listen)
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { folder, intake, .. } = opening;
        let what = format!("the source `{}`", intake.name());
        let telling = intake.clone();
        let tls = self.tls.as_ref().map(|tls| tls.open(folder, move |what| telling.say(what)));
        let tls = tls.transpose().map_err(|why| format!("{what}: {why}"))?;
        let socket = Socket::bind(self).map_err(|why| format!("{what} {why}"))?;
        Ok(Box::new(Listening::new(self.clone(), socket, tls, intake)))
    }

    fn check<'a>(&'a self, _: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let mut said = Vec::new();
            if let Some(tls) = &self.tls {
                if let Some(wrong) = tls.look(folder) {
                    return Err(wrong.message);
                }
                said.push("its certificate and key go together".to_string());
            }
            match Socket::bind(self) {
                Ok(_) => said.push(format!("`{}` can be listened on", self.listen)),
                // Where the service runs, this is as it should be.
                Err(why) if why.contains(super::source::TAKEN) => said.push(why),
                Err(why) => return Err(why),
            }
            Ok(said)
        })
    }
}
