//! How fast each format becomes events: lines made from a fixed seed, beside the same events as JSON lines.

use std::io::Cursor;
use std::time::{Duration, Instant};

use tripline_formats::{Format, Layout, Reader, parse};

/// Measures each format over so many events.
pub fn run(events: usize, runs: usize) -> Result<(), String> {
    println!(
        "{:<10} {:>10} {:>12} {:>10} {:>16} {:>9}",
        "format", "MB/s", "events/s", "bytes", "JSON lines, MB/s", "of JSON"
    );
    for (format, text) in texts(events) {
        let layout = Layout::of(format);
        let mut json = Vec::new();
        let mut count = 0;
        let mut reader = Reader::with_format(Cursor::new(text.clone()), layout.clone());
        while let Some(batch) = reader.next_batch().map_err(|error| error.to_string())? {
            if let Some(bad) = batch.unparsed.first() {
                return Err(format!("{format}: line {}: {}: {}", bad.line, bad.reason, bad.excerpt));
            }
            for record in batch.iter() {
                parse(record.bytes)?;
                json.extend_from_slice(record.bytes);
                json.push(b'\n');
                count += 1;
            }
        }
        let took = quickest(runs, &text, &layout)?;
        let beside = quickest(runs, &json, &Layout::of(Format::Json))?;
        let each = |bytes: usize, took: Duration| bytes as f64 / took.as_secs_f64().max(1e-9);
        println!(
            "{:<10} {:>10.0} {:>12.0} {:>10.0} {:>16.0} {:>9.2}",
            format.name(),
            each(text.len(), took) / 1e6,
            each(count, took),
            text.len() as f64 / count.max(1) as f64,
            each(json.len(), beside) / 1e6,
            beside.as_secs_f64() / took.as_secs_f64().max(1e-9),
        );
    }
    Ok(())
}

/// The quickest of several readings.
fn quickest(runs: usize, text: &[u8], layout: &Layout) -> Result<Duration, String> {
    let mut best = Duration::MAX;
    for _ in 0..runs.max(1) {
        let input = Cursor::new(text.to_vec());
        let begun = Instant::now();
        let mut reader = Reader::with_format(input, layout.clone());
        let mut batch = tripline_formats::Batch::default();
        while reader.next_into(&mut batch).map_err(|error| error.to_string())? {}
        best = best.min(begun.elapsed());
    }
    Ok(best)
}

/// Lines of each format that are no two alike.
fn texts(events: usize) -> Vec<(Format, Vec<u8>)> {
    let lines = |head: &str, line: &dyn Fn(usize) -> String| {
        let mut text = head.to_string();
        (0..events).for_each(|n| text += &line(n));
        text.into_bytes()
    };
    let user = |n: usize| format!("user{}", n.wrapping_mul(2_654_435_761) % 5000);
    let ip = |n: usize| format!("203.0.113.{}", n * 7 % 256);
    let clock = |n: usize| format!("{:02}:{:02}:{:02}", n / 3600 % 24, n / 60 % 60, n % 60);
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    vec![
        (
            Format::Syslog,
            lines("", &|n| {
                let (time, user, ip) = (clock(n), user(n), ip(n));
                format!("<38>Nov 21 {time} web1 sshd[{n}]: Failed password for {user} from {ip} port {n} ssh2\n")
            }),
        ),
        (
            Format::Cef,
            lines("", &|n| {
                let (user, ip) = (user(n), ip(n));
                format!(
                    "CEF:0|Example|Firewall|1.0|100|Connection blocked|5|src={ip} dst=198.51.100.3 spt={n} dpt=443 \
                     proto=TCP suser={user} msg=the rule {n} says no cs1Label=Policy cs1=default deny\n"
                )
            }),
        ),
        (
            Format::Leef,
            lines("", &|n| {
                let (user, ip) = (user(n), ip(n));
                format!("LEEF:1.0|Example|Proxy|2.0|deny|src={ip}\tdst=198.51.100.3\tusrName={user}\tsrcPort={n}\n")
            }),
        ),
        (
            Format::Kv,
            lines("", &|n| {
                let (time, user, ip) = (clock(n), user(n), ip(n));
                format!(
                    "date=2026-11-21 time={time} devname=\"fw1\" logid=\"0100032001\" type=\"event\" user=\"{user}\" \
                     srcip={ip} srcport={n} action=\"login\" status=\"failed\" msg=\"Administrator {user} failed\"\n"
                )
            }),
        ),
        (
            Format::Csv,
            lines("time,user,source,action,object,detail\n", &|n| {
                let (time, user, ip) = (clock(n), user(n), ip(n));
                format!("2026-11-21T{time}Z,{user},{ip},read,/srv/files/{n},\"what, and how\"\n")
            }),
        ),
        (
            Format::W3c,
            lines(
                "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) \
                 sc-status sc-substatus time-taken\n",
                &|n| {
                    let (time, user, ip) = (clock(n), user(n), ip(n));
                    let agent = agent.replace(' ', "+");
                    format!("2026-11-21 {time} 192.0.2.80 GET /page/{n} a=b 443 {user} {ip} {agent} 200 0 15\n")
                },
            ),
        ),
        (
            Format::Zeek,
            lines(
                "#separator \\x09\n#set_separator\t,\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\t\
                 id.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\ttunnel_parents\n\
                 #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\t\
                 set[string]\n",
                &|n| {
                    let ip = ip(n);
                    format!(
                        "1795248909.{n:06}\tC{n:x}abcdef\t{ip}\t{n}\t198.51.100.3\t443\ttcp\tssl\t0.{n}\t{n}\t100\tSF\t\
                         T\t(empty)\n"
                    )
                },
            ),
        ),
        (
            Format::Auditd,
            lines("", &|n| {
                format!(
                    "type=SYSCALL msg=audit(1795248909.123:{n}): arch=c000003e syscall=59 success=yes exit=0 a0=55d1 \
                     a1=55d2 a2=55d3 a3=8 items=1 ppid=100 pid={n} auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 \
                     comm=\"cat\" exe=\"/usr/bin/cat\" key=\"exec\"\n\
                     type=EXECVE msg=audit(1795248909.123:{n}): argc=2 a0=\"cat\" a1=2F746D702F612062\n\
                     type=PATH msg=audit(1795248909.123:{n}): item=0 name=\"/usr/bin/cat\" inode={n} nametype=NORMAL\n\
                     type=PROCTITLE msg=audit(1795248909.123:{n}): proctitle=636174002F746D702F612062\n"
                )
            }),
        ),
        (
            Format::Vpcflow,
            lines("", &|n| {
                let ip = ip(n);
                format!(
                    "2 123456789010 eni-1235b8ca123456789 {ip} 172.31.16.21 {} 22 6 20 {n} 1795248909 1795248969 \
                     ACCEPT OK\n",
                    n % 65536
                )
            }),
        ),
        (
            Format::Apache,
            lines("", &|n| {
                let (time, ip) = (clock(n), ip(n));
                format!(
                    "{ip} - - [21/Nov/2026:{time} +0100] \"GET /page/{n}?a=b HTTP/1.1\" 200 {n} \
                     \"https://example.com/\" \"{agent}\"\n"
                )
            }),
        ),
    ]
}
