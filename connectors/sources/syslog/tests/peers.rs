//! Programs that others send syslog with, where they are installed: `logger`, and rsyslog (`.ci/peers` installs them).

use std::process::{Child, Command, Stdio};

use super::listening::Issued;
use super::*;

#[test]
fn logger_is_understood() {
    let exists = Command::new("logger").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !exists.is_ok_and(|status| status.success()) {
        println!("left out: there is no `logger` here");
        return;
    }
    for (protocol, ways) in [("udp", vec!["--udp"]), ("tcp", vec!["--tcp", "--tcp --octet-count"])] {
        let work = Work::begin(protocol, "", Path::new("."));
        for way in ways {
            for format in ["--rfc3164", "--rfc5424"] {
                let sent = Command::new("logger")
                    .args(["--server", "127.0.0.1", "--port", &work.at.port().to_string(), "--tag", "trial", format])
                    .args(way.split(' '))
                    .arg("user root did something ü")
                    .stdin(Stdio::null())
                    .status();
                assert!(sent.unwrap().success(), "{way} {format}");
                let event = work.event();
                assert_eq!(event["priority"], 13, "{way} {format}: {event}");
                assert_eq!(event["appname"], "trial", "{way} {format}: {event}");
                assert_eq!(event["message"], "user root did something ü", "{way} {format}: {event}");
            }
        }
        assert!(work.end().is_empty());
    }
}

/// rsyslogd as a process of its own, with a configuration of its own.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends what it gets on a socket of its own to a listener, with these settings of the action.
fn rsyslog(folder: &Path, work: &Work, global: &str, action: &str) -> Option<(Rsyslog, u16)> {
    let root = std::env::var("TRIPLINE_PEER_RSYSLOG").ok().filter(|root| !root.is_empty())?;
    let inlet = port();
    let text = format!(
        "global(workDirectory=\"{}\" {global})\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" \
         port=\"{inlet}\")\n*.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" {action})\n",
        folder.display(),
        work.at.port()
    );
    let config = folder.join("rsyslog.conf");
    std::fs::write(&config, text).unwrap();
    let root = Path::new(&root);
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let log = std::fs::File::create(folder.join("rsyslog.log")).unwrap();
    let process = Command::new(root.join("usr/sbin/rsyslogd"))
        .arg("-n")
        .arg("-i")
        .arg(folder.join("rsyslog.pid"))
        .arg("-f")
        .arg(config)
        .arg("-M")
        .arg(libraries.join("rsyslog"))
        .env("LD_LIBRARY_PATH", &libraries)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Some((Rsyslog(process.unwrap()), inlet))
}

/// A connection to rsyslog, once it listens.
fn connect(inlet: u16, told: &dyn Fn() -> String) -> TcpStream {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", inlet)) {
            Ok(stream) => return stream,
            Err(_) => assert!(begun.elapsed() < Duration::from_secs(20), "rsyslog does not listen: {}", told()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What an inlet was given arrives, whole and in its order.
fn arrives(work: &Work, inlet: u16, folder: &Path) {
    let told = || std::fs::read_to_string(folder.join("rsyslog.log")).unwrap_or_default();
    let mut to = connect(inlet, &told);
    for n in 0..500 {
        writeln!(to, "<38>Nov 21 12:00:00 bastion sshd[4711]: Failed password for invalid user ü{n} from 203.0.113.9")
            .unwrap();
    }
    let mut came = Vec::new();
    while came.len() < 500 {
        // Messages of rsyslog about itself come, too.
        came.extend(work.texts(1).into_iter().filter(|text| text.contains("Failed password")));
    }
    for (n, text) in came.iter().enumerate() {
        assert!(text.starts_with(&format!("<38>Failed password for invalid user ü{n} ")), "{text}\n{}", told());
    }
}

const LEFT_OUT: &str = "left out: there is no rsyslog here (TRIPLINE_PEER_RSYSLOG, see .ci/peers)";

#[test]
fn rsyslog_over_tcp_is_understood() {
    for framing in ["traditional", "octet-counted"] {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::begin("tcp", "", Path::new("."));
        let action = format!("TCP_Framing=\"{framing}\" template=\"RSYSLOG_TraditionalForwardFormat\"");
        let Some((_process, inlet)) = rsyslog(folder.path(), &work, "", &action) else { return println!("{LEFT_OUT}") };
        arrives(&work, inlet, folder.path());
        work.end();
    }
}

#[test]
fn rsyslog_over_tls_is_understood() {
    let issued = Issued::new();
    let folder = issued.folder.path();
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"";
    let work = Work::begin("tls", files, folder);
    let of = |name: &str| folder.join(name).display().to_string();
    let global = format!(
        "defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" \
         defaultNetstreamDriverKeyFile=\"{}\"",
        of("ca.pem"),
        of("client.pem"),
        of("client.key")
    );
    let action = "StreamDriver=\"gtls\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/name\" \
                  StreamDriverPermittedPeers=\"localhost\" TCP_Framing=\"octet-counted\" \
                  template=\"RSYSLOG_SyslogProtocol23Format\" action.resumeRetryCount=\"-1\" queue.type=\"LinkedList\" \
                  queue.filename=\"tripline\" queue.maxDiskSpace=\"1g\" queue.saveOnShutdown=\"on\"";
    let Some((_process, inlet)) = rsyslog(folder, &work, &global, action) else { return println!("{LEFT_OUT}") };
    let mut to = connect(inlet, &|| std::fs::read_to_string(folder.join("rsyslog.log")).unwrap_or_default());
    writeln!(to, "<38>Nov 21 12:00:00 bastion sshd[4711]: Failed password for root from 203.0.113.9").unwrap();
    let event = loop {
        let event = work.event();
        if event["message"].as_str().is_some_and(|text| text.contains("Failed password")) {
            break event;
        }
    };
    let of = |name: &str| event[name].as_str().unwrap_or_default();
    assert_eq!((of("hostname"), of("appname"), of("procid")), ("bastion", "sshd", "4711"), "{event}");
    work.end();
}
