//! Each lint on small files, through the parser and the checker: what it says, and what it leaves alone.

use tripline_base::{Level, SourceMap};

use crate::NoFiles;

const MAPPING: &str = r#"
mapping idp from example.idp {
  metadata.product.vendor_name: "Example"
  metadata.uid: raw.id
  time: timestamp(raw.at)
  severity_id: "Informational"
  when raw.kind == "signin" -> authentication { activity_id: "Logon" user.name: raw.user src_endpoint.ip: raw.ip }
  otherwise -> base_event { activity_id: "Other" }
  test "t" { event { id: "1" } expect base_event {} }
}
"#;

/// `id: message` of every lint of a file, checked beside [`MAPPING`].
fn lints(text: &str) -> Vec<String> {
    let mut sources = SourceMap::new();
    let mut files = Vec::new();
    for text in [MAPPING, text] {
        let id = sources.add("x.trip", text);
        let parsed = tripline_syntax::parse_file(id, text);
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        files.push(parsed.file);
    }
    let (program, diagnostics) = crate::check(&files, &sources, &NoFiles, Default::default());
    let errors: Vec<_> = diagnostics.iter().filter(|d| d.level() == Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let today = tripline_event::parse_date("2026-06-01").unwrap();
    super::lint(&program, &sources, today)
        .into_iter()
        .map(|d| {
            assert!(!d.help.is_empty(), "{}", d.message);
            let item = d.item.clone().unwrap_or_default();
            assert!(!sources.slice(d.span()).is_empty(), "{}", d.message);
            format!("{} {item} `{}`: {}", d.code.id, super::words(&sources, d.span()), d.message)
        })
        .collect()
}

fn rule_with(rest: &str) -> String {
    format!(
        "rule r {{\n title: \"t\"\n owner: \"o\"\n attack: [T1078/initial-access]\n on authentication\n {rest}\n \
         test \"t\" {{ expect nothing }}\n}}\n"
    )
}

/// What is said of a rule with that condition: id and words.
fn of(condition: &str) -> Vec<String> {
    lints(&rule_with(&format!("where {condition}")))
        .into_iter()
        .map(|said| said.split(": ").next().unwrap_or("").replace(" r `", " `").to_string())
        .collect()
}

#[test]
fn negated_optional() {
    assert_eq!(of("user.name != \"a\""), ["T0301 `user.name != \"a\"`"]);
    assert_eq!(of("user.name not in [\"a\"]"), ["T0301 `user.name not in [\"a\"]`"]);
    assert_eq!(of("raw.x != \"a\""), ["T0301 `raw.x != \"a\"`"]);
    assert_eq!(of("lower(user.name) != \"a\""), ["T0301 `lower(user.name) != \"a\"`"]);
    assert_eq!(of("user.name != all [\"a\", \"b\"]"), ["T0301 `user.name != all [\"a\", \"b\"]`"]);
    assert_eq!(of("any(x in raw.xs, x.k != 1)"), ["T0301 `x.k != 1`"]);
    let none: [&str; 0] = [];
    for fine in [
        "exists user.name and user.name != \"a\"",
        "user.name starts_with \"a\" and (user.name != \"ab\" or is_mfa == true)",
        "not exists user.name or user.name != \"a\"",
        "not (user.name == \"a\")",
        "activity_id != \"Logon\"",
        "exists raw.x and raw.x != \"a\"",
        "any(x in raw.xs, exists x.k and x.k != 1)",
        "raw.x == 1 and (raw.x == 2 or raw.x != 3) or not (raw.x != 5)",
    ] {
        let found: Vec<String> = of(fine).into_iter().filter(|said| said.starts_with("T0301")).collect();
        assert_eq!(found, none, "{fine}");
    }
    let found = lints(&rule_with(
        "where exists user.name\n except \"e\" where user.name != \"a\"\n alert { severity: high when raw.y != 1 }",
    ));
    assert_eq!(found, ["T0301 r `raw.y != 1`: this also holds where `raw.y` is absent"]);
}

#[test]
fn unused() {
    let text = "list a: string = [\"x\"]\nlist b: string = [\"x\"]\ndef c() = raw.x\ndef d(p: string) = p == \"x\"\n";
    let found = lints(&format!("{text}{}", rule_with("where user.name in a and d(user.name)")));
    assert_eq!(found, ["T0302 b `b`: the list `b` is never used", "T0302 c `c`: the definition `c` is never used"]);
}

#[test]
fn never_and_always() {
    assert_eq!(of("user.name == \"a\" and user.name == \"b\""), ["T0303 `user.name == \"a\"`"]);
    assert_eq!(of("raw.n < 5 and raw.n > 7"), ["T0303 `raw.n < 5`"]);
    assert_eq!(of("not exists user and user.name == \"b\""), ["T0303 `not exists user`"]);
    assert_eq!(of("is_mfa == true or raw.n < 5 and raw.n > 7"), ["T0303 `raw.n < 5`"]);
    assert_eq!(of("user.name == \"a\" and (is_mfa == true or user.name == \"b\")"), ["T0303 `user.name == \"b\"`"]);
    assert_eq!(of("any(x in raw.xs, x.k == 1 and x.k == 2)"), ["T0303 `x.k == 1`"]);
    assert_eq!(
        of("exists raw.x and (not (raw.x == 1) or not (raw.x == 2))"),
        ["T0304 `not (raw.x == 1) or not (raw.x == 2)`"]
    );
    assert_eq!(of("not (raw.x == 1) or not (raw.x == 2)"), ["T0304 `not (raw.x == 1) or not (raw.x == 2)`"]);
    let none: [&str; 0] = [];
    for fine in [
        "auth_factors[].provider == \"a\" and auth_factors[].provider == \"b\"",
        "raw.x == 1 and raw.x == \"1\"",
        "src_endpoint.ip in \"10.0.0.0/8\" and not (src_endpoint.ip in \"10.1.0.0/16\")",
        "is_mfa == true or is_mfa == false",
        "raw.n >= 5 and raw.n <= 7",
    ] {
        assert_eq!(of(fine), none, "{fine}");
    }
}

#[test]
fn redundant() {
    assert_eq!(of("exists user.name and user.name == \"root\""), ["T0305 `exists user.name`"]);
    assert_eq!(of("user.name == \"root\" and user.name starts_with \"ro\""), ["T0305 `user.name starts_with \"ro\"`"]);
    assert_eq!(of("user.name == \"root\" and user.name == \"root\""), ["T0305 `user.name == \"root\"`"]);
    assert_eq!(of("raw.c contains \"-enc\" or raw.c contains \"-encoded\""), ["T0305 `raw.c contains \"-encoded\"`"]);
    assert_eq!(of("raw.c contains any [\"-encoded\", \"-enc\"]"), ["T0305 `\"-encoded\"`"]);
    assert_eq!(of("raw.a == 1 and (raw.b == 1 or raw.a > 0 and raw.c == 1)"), ["T0305 `raw.a > 0`"]);
    assert_eq!(of("raw.c == \"x\" and raw.c matches re'^x[yz]?$'"), ["T0305 `raw.c matches re'^x[yz]?$'`"]);
    let none: [&str; 0] = [];
    for fine in [
        "exists user.name and user.name != \"root\"",
        "exists user.name and user.name starts_with \"r\" and user.name != \"root\"",
        "user.name starts_with \"a\" and user.name ends_with \"b\"",
        "raw.a == 1 or raw.a == 2",
    ] {
        assert_eq!(of(fine), none, "{fine}");
    }
    let text = format!(
        "def d(n: string) = exists n and n ends_with \"$\"\n{}",
        rule_with("where exists user.name and d(user.name)")
    );
    assert_eq!(lints(&text), ["T0305 r `exists user.name`: `exists user.name` adds nothing"]);
}

#[test]
fn implied_rules() {
    let rule = |name: &str, from: &str, rest: &str| {
        rule_with(rest)
            .replace("rule r {", &format!("rule {name} {{"))
            .replace("on authentication", &format!("on authentication {from}"))
    };
    let found = |rules: &[String]| -> Vec<String> {
        lints(&rules.concat()).into_iter().map(|said| said.split("`: ").nth(1).unwrap_or("").to_string()).collect()
    };
    let wide = rule("wide", "", "where user.name in [\"a\", \"b\"]");
    let narrow = rule("narrow", "from example.idp", "where user.name == \"a\" and is_mfa == true");
    assert_eq!(found(&[wide.clone(), narrow.clone()]), ["every event that fires `narrow` also fires `wide`"]);
    assert_eq!(found(&[narrow.clone(), wide.clone()]), ["every event that fires `narrow` also fires `wide`"]);
    let again = rule("again", "", "where user.name in [\"b\", \"a\"]");
    assert_eq!(found(&[wide, again]), ["`again` has the same condition as `wide`"]);
    let none: [&str; 0] = [];
    let sourced = rule("wide", "from example.idp", "where user.name == \"a\"");
    let any = rule("narrow", "", "where user.name == \"a\" and is_mfa == true");
    assert_eq!(found(&[sourced.clone(), any]), none);
    let excepted = rule("wide", "", "where user.name == \"a\"\n except \"e\" where is_mfa == true");
    assert_eq!(found(&[excepted.clone(), narrow]), none);
    let both = rule("narrow", "", "where user.name == \"a\" and raw.x == 1\n except \"f\" where is_mfa == true");
    assert_eq!(found(&[excepted, both]), ["every event that fires `narrow` also fires `wide`"]);
}

#[test]
fn thousands_of_rules_are_quick() {
    let mut text = String::new();
    for n in 0..3000 {
        let rest = format!(
            "where raw.service == \"s\" and raw.op in [\"op{n}\", \"x{n}\"] and raw.c contains any [\"a{n}b\", \"c\"]"
        );
        text.push_str(&rule_with(&rest).replace("rule r {", &format!("rule r{n} {{")));
    }
    text.push_str(&rule_with("where raw.service == \"s\" and raw.op == \"x77\" and raw.c contains \"cc\""));
    let begun = std::time::Instant::now();
    assert_eq!(lints(&text), ["T0306 r `r`: every event that fires `r` also fires `r77`"]);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn hostile_conditions_are_bounded() {
    let begun = std::time::Instant::now();
    let row = |word: &str, part: &dyn Fn(usize) -> String| (0..3000).map(part).collect::<Vec<_>>().join(word);
    of(&row(" or ", &|n| format!("raw.x == {n}")));
    of(&row(" and ", &|n| format!("raw.x != {n}")));
    of(&row(" and ", &|n| format!("(raw.a{n} == 1 or raw.b{n} == 2)")));
    of(&format!("raw.x in [{}]", row(", ", &|n| n.to_string())));
    of(&format!("match raw.x {{ {} }} == 1", row(", ", &|n| format!("\"a{n}\" => {n}"))));
    // Pigeons and holes: hard for any search.
    let pigeons =
        (0..9).map(|p| format!("({})", (0..8).map(|h| format!("raw.p{p} == {h}")).collect::<Vec<_>>().join(" or ")));
    let holes = (0..9).flat_map(|a| (0..a).map(move |b| format!("not (raw.p{a} == raw.p{b})")));
    of(&pigeons.chain(holes).collect::<Vec<_>>().join(" and "));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn header_and_tests() {
    let found = lints(
        "rule bare {\n title: \"t\"\n on authentication\n where exists user.name\n \
         except \"e\" until 2026-05-31 where is_mfa == true\n}\n",
    );
    assert_eq!(
        found,
        [
            "T0308 bare `bare`: the rule `bare` has no owner",
            "T0309 bare `bare`: the rule `bare` names no ATT&CK technique",
            "T0310 bare `bare`: the rule `bare` has no test",
            "T0307 bare `2026-05-31`: the exception \"e\" expired on 2026-05-31",
        ]
    );
    assert!(
        lints(&rule_with("where exists user.name\n except \"e\" until 2026-06-01 where is_mfa == true")).is_empty()
    );
}

#[test]
fn plain_operators() {
    let said = |pattern: &str| {
        let text = rule_with(&format!("where user.name matches {pattern}"));
        let mut sources = SourceMap::new();
        let id = sources.add("x", &text);
        let file = tripline_syntax::parse_file(id, &text).file;
        let (program, _) = crate::check(&[file], &sources, &NoFiles, Default::default());
        let found = super::lint(&program, &sources, 0);
        found.iter().filter(|d| d.code.id == "T0311").flat_map(|d| d.help.clone()).collect::<Vec<_>>().join("|")
    };
    let write = |plain: &str| format!("write `{plain}` instead of `matches …`");
    assert_eq!(said("re'^foo$'"), write("== \"foo\""));
    assert_eq!(said("re'^foo'"), write("starts_with \"foo\""));
    assert_eq!(said(r"re'\.exe$'"), write("ends_with \".exe\""));
    assert_eq!(said(r"re'(?i)\\Temp\\'"), write(r"contains i'\Temp\'"));
    assert_eq!(said("re'^(a|b|c)$'"), write("in [\"a\", \"b\", \"c\"]"));
    assert_eq!(said("iglob'*foo'"), write("ends_with i\"foo\""));
    assert_eq!(said("glob'*'"), "ask `exists …` for any value at all");
    assert_eq!(said("re'^fo+$'"), "");
    assert_eq!(said("glob'a*b'"), "");
}

#[test]
fn unreachable_cases() {
    let found =
        lints(&rule_with("where user.name == \"a\"\n except \"e\" where user.name == \"b\" and is_mfa == true"));
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("the exception \"e\" can never apply"), "{found:?}");
    let found = lints(&rule_with("where user.name == \"a\"\n except \"e\" where exists user.name"));
    assert!(found[0].starts_with("T0303 r `except"), "{found:?}");
    let found = lints(&rule_with(
        "where raw.n > 5\n alert { severity: high when raw.x == 1, critical when raw.x == 1 and raw.y == 2, \
         low when raw.n == 1, medium when raw.n > 3 }",
    ));
    assert_eq!(
        found,
        [
            "T0312 r `raw.x == 1 and raw.y == 2`: the severity `critical` is never given",
            "T0312 r `raw.n == 1`: the severity `low` is never given",
            "T0304 r `raw.n > 3`: `raw.n > 3` always holds where the rule fires",
        ]
    );
    let found = lints(&rule_with(
        "where match raw.k { \"a\" => 1, starts_with \"b\" => 2, \"bc\", \"c\" => 3, _ => 4, \"d\" => 5 } == 1",
    ));
    assert_eq!(
        found,
        [
            "T0312 r `\"bc\"`: the pattern `\"bc\"` is never reached",
            "T0312 r `\"d\"`: the pattern `\"d\"` is never reached",
        ]
    );
}

#[test]
fn mapping_arms() {
    let mapping = r#"
mapping m from m.m {
  detect where raw.m == 1 and raw.m == 2
  metadata.product.vendor_name: "Example"
  time: timestamp(raw.at)
  severity_id: "Informational"
  when raw.kind in ["a", "b"] -> base_event { activity_id: "Other" }
  when raw.kind starts_with "c" -> base_event { activity_id: "Other" }
  when raw.kind in ["b", "ca"] and exists raw.x -> base_event { activity_id: "Other" }
  when raw.kind == "d" and exists raw.x -> base_event { activity_id: "Other" }
  otherwise -> base_event { activity_id: "Other" }
  when raw.kind == "e" -> base_event { activity_id: "Other" }
}
"#;
    let found: Vec<String> =
        lints(mapping).into_iter().map(|said| said.split("`: ").next().unwrap_or("").to_string()).collect();
    assert_eq!(
        found,
        [
            "T0310 m `m",
            "T0303 m `raw.m == 1",
            "T0313 m `raw.kind in [\"b\", \"ca\"] and exists raw.x",
            "T0313 m `raw.kind == \"e\"",
        ]
    );
}

#[test]
fn codes_are_well_formed() {
    for (n, code) in super::ALL.iter().enumerate() {
        assert_eq!(code.id, format!("T03{:02}", n + 1));
        assert!(code.page.lines().all(|line| line.len() <= 120));
    }
}
