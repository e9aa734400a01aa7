//! Logs of every format through the program: what they are recognised as, which source their events are of, and that
//! rules find in them what they look for.

use super::{err, out, root, tripline, write};

/// A log of the tests of formats.
fn log(name: &str) -> String {
    root().join(format!("engine/formats/src/tests/goldens/{name}.log")).display().to_string()
}

fn sources(args: &[&str]) -> (String, String) {
    let output = tripline(&[&["scan", "--format", "summary"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let told = text.split("events per source:\n").nth(1).unwrap_or_default();
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    (lines.join(", "), err(&output))
}

#[test]
fn events_of_each_format_find_their_source() {
    for (name, format, wanted) in [
        ("zeek", "zeek", "2  zeek.conn, 1  zeek.dns"),
        ("auditd", "auditd", "8  linux.auditd"),
        ("vpcflow_default", "vpcflow", "2  aws.vpc_flow"),
        ("w3c", "w3c", "2  web.server, 1  (no mapping knows the source)"),
        ("apache", "apache", "6  web.server, 4  web.error, 2  (no mapping knows the source)"),
        ("cef", "cef", "6  cef.event"),
        ("leef", "leef", "6  leef.event"),
        ("kv", "kv", "1  (no mapping knows the source)"),
        (
            "syslog",
            "syslog",
            "12  linux.syslog, 2  leef.event, 1  cef.event, 1  fortigate.event, 3  (no mapping knows the source)",
        ),
    ] {
        let (told, said) = sources(&[&log(name)]);
        assert_eq!(told, wanted, "{name}");
        assert!(said.contains(&format!("1 file read as {format}")), "{said}");
        assert_eq!(sources(&["--input", format, &log(name)]).0, wanted, "{name}");
    }
}

#[test]
fn json_of_suricata_and_osquery_finds_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let suricata = write(
        &dir,
        "eve.json",
        "{\"timestamp\":\"2026-11-21T08:15:09.000000+0000\",\"flow_id\":1,\"event_type\":\"alert\",\"src_ip\":\"192.0.2.1\",\
         \"alert\":{\"signature\":\"x\"}}\n\
         {\"timestamp\":\"2026-11-21T08:15:10.000000+0000\",\"event_type\":\"stats\",\"stats\":{\"uptime\":8}}\n",
    );
    let osquery = write(
        &dir,
        "osqueryd.results.log",
        "{\"name\":\"pack_x_users\",\"hostIdentifier\":\"web1\",\"calendarTime\":\"Sat Nov 21 08:15:09 2026 UTC\",\
         \"unixTime\":1795248909,\"epoch\":0,\"counter\":1,\"columns\":{\"username\":\"eve\",\"path\":\"/tmp/x\"},\
         \"action\":\"added\"}\n",
    );
    let told = sources(&[suricata.to_str().unwrap(), osquery.to_str().unwrap()]);
    assert_eq!(told.0, "2  suricata.eve, 1  osquery.differential");
    assert!(!told.1.contains("read as"), "{}", told.1);
    let rule = write(
        &dir,
        "rules.trip",
        r#"rule row_of_osquery {
  title: "A row" severity: low owner: "x" attack: [T1136]
  on event from osquery.differential where raw.path == "/tmp/x" alert { key: [raw.username] }
}"#,
    );
    let args = ["scan", "--rules", rule.to_str().unwrap(), "--format", "summary", "--", osquery.to_str().unwrap()];
    assert!(out(&tripline(&args)).contains("1  row_of_osquery"), "{}", err(&tripline(&args)));
}

#[test]
fn sigma_rules_find_what_they_look_for_in_lines_of_text() {
    let dir = tempfile::tempdir().unwrap();
    let rule = |name: &str, logsource: &str, detection: &str| {
        let text = format!(
            "title: {name}\nid: 00000000-0000-4000-8000-{:012}\nlogsource:\n  {logsource}\ndetection:\n  {detection}\n  condition: a\nlevel: low\n",
            name.len()
        );
        write(&dir, &format!("{name}.yml"), &text)
    };
    let rules = [
        rule("shadow_read", "{product: linux, service: auditd}", "a: {type: EXECVE, a0: cat, a2: /etc/shadow}"),
        rule("a_path", "{product: linux, service: auditd}", "a: {type: PATH, name|endswith: /cat}"),
        rule("a_connection_out", "{product: linux, service: auditd}", "a: {SYSCALL: connect, lport: 443}"),
        rule("failed_password_of_ssh", "{product: linux, service: sshd}", "a: ['Failed password']"),
        rule("a_login", "{category: webserver}", "a: {cs-method: POST, cs-uri-stem|contains: login, sc-status: 401}"),
        rule("an_agent", "{category: webserver}", "a: {cs-user-agent|startswith: curl}"),
        rule("zeek_to_a_port", "{product: zeek, service: conn}", "a: {id.resp_p: 443, local_orig: true}"),
    ];
    let mut args = vec!["scan".to_string(), "--format".into(), "summary".into(), "--rules".into()];
    args.extend(rules.iter().map(|path| path.display().to_string()));
    args.extend(["auditd", "syslog", "w3c", "apache", "zeek"].map(log));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = tripline(&args);
    let told = out(&output);
    for wanted in [
        "1  shadow_read",
        "1  a_path",
        "1  a_connection_out",
        "1  failed_password_of_ssh",
        "2  a_login",
        "2  an_agent",
        "1  zeek_to_a_port",
    ] {
        assert!(told.contains(wanted), "{wanted} is missing in\n{told}{}", err(&output));
    }
}

#[test]
fn what_is_said_of_formats_and_mistyped_is_told() {
    let wrong = |args: &[&str], wanted: &str| {
        let output = tripline(&[&["scan"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(wanted), "{}", err(&output));
    };
    wrong(&["--input", "zek", "x.log"], "there is no format `zek` (there are auto, json, syslog");
    wrong(&["--columns", "a,b", "x.log"], "--columns is for --input csv or vpcflow");
    wrong(&["--input", "zeek", "--delimiter", ";", "x.log"], "--delimiter is for --input csv or kv");
    wrong(&["--input", "csv", "--delimiter", "ab", "x.log"], "one ASCII character, or `tab`");
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "x.log", "nothing that\nanybody knows\n");
    let output = tripline(&["scan", path.to_str().unwrap()]);
    assert!(err(&output).contains("say what it is with --input (auto, json, syslog,"), "{}", err(&output));
}

#[test]
fn columns_without_a_header_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "flow.log", "192.0.2.1 198.51.100.2 eni-1 443\n");
    let columns = "srcaddr,dstaddr,interface-id,dstport";
    let told = sources(&["--input", "vpcflow", "--columns", columns, path.to_str().unwrap()]);
    assert_eq!(told.0, "1  aws.vpc_flow");
    let rule = write(
        &dir,
        "rules.trip",
        r#"rule x { title: "x" severity: low owner: "x" attack: [T1136]
  on event from aws.vpc_flow where raw.dstport == 443 alert { key: [raw.srcaddr] } }"#,
    );
    let event = path.to_str().unwrap();
    let args = ["explain", "x", event, "--rules", rule.to_str().unwrap(), "--input", "vpcflow", "--columns", columns];
    let output = tripline(&args);
    assert!(out(&output).contains("443"), "{}{}", out(&output), err(&output));
}

#[test]
fn the_example_of_auditd_is_normalised_and_each_of_its_conversions_succeeds() {
    let page = std::fs::read_to_string(root().join("docs/FORMATS.md")).unwrap();
    let text = page.split("## auditd\n").nth(1).unwrap().split("```text\n").nth(1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "audit.log", text.split("```").next().unwrap()).display().to_string();
    let output = tripline(&["normalize", "--validate", &path]);
    assert!(output.status.success() && out(&output).is_empty(), "{}", out(&output));
    let said = "1 event, 0 of no known source, 0 unparsed lines, 0 failed conversions, 0 violations";
    assert!(err(&output).contains(said), "{}", err(&output));
}

#[test]
fn logs_of_text_are_compressed_too() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read(log("zeek")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &text).unwrap();
    let path = dir.path().join("conn.log.gz");
    std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    assert_eq!(sources(&[path.to_str().unwrap()]).0, "2  zeek.conn, 1  zeek.dns");
}
