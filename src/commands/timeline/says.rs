//! An event in one line.

use std::borrow::Cow;

use tripline_event::{Path, Value, to_text};
use tripline_schema::ocsf;

/// The longest line.
const LONGEST: usize = 300;

/// What happened, by whom, to whom, from where: of what its mapping says.
pub fn says(class: &str, event: &Value<'_>) -> String {
    let text = |path: &[&str]| {
        let found = Path::keys(path.iter().copied()).get(event)?;
        to_text(found).map(Cow::into_owned).filter(|text| !text.is_empty())
    };
    let person = |of: &[&str]| {
        let one = |name: &'static str| text(&[of, &[name]].concat());
        one("email_addr").or_else(|| one("name")).or_else(|| one("uid"))
    };
    let class = ocsf().class(class).map_or(class, |class| class.caption);
    let mut out = class.to_string();
    if let Some(activity) = text(&["activity_name"]).filter(|activity| activity != "Other") {
        out.push_str(&format!(": {activity}"));
    }
    if let Some(code) = text(&["metadata", "event_code"]) {
        out.push_str(&format!(" [{code}]"));
    }
    out.extend(text(&["status"]).map(|status| format!(", {status}")));
    let actor = person(&["actor", "user"]);
    let user = person(&["user"]).filter(|user| actor.as_ref() != Some(user));
    out.extend(actor.map(|actor| format!(", by {actor}")));
    out.extend(user.map(|user| format!(", {user}")));
    let host = || text(&["device", "hostname"]).or_else(|| text(&["src_endpoint", "hostname"]));
    out.extend(text(&["src_endpoint", "ip"]).or_else(host).map(|from| format!(", from {from}")));
    match out.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", out.get(..end).unwrap_or_default()),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_event::parse_json;

    #[test]
    fn a_line_has_what_the_mapping_says_and_an_end() {
        let event = r#"{"activity_name":"Logon","status":"Failure","metadata":{"event_code":"user.session.start"},
            "actor":{"user":{"name":"bob"}},"user":{"email_addr":"ann@example.com"},"src_endpoint":{"ip":"192.0.2.1"}}"#;
        assert_eq!(
            says("authentication", &parse_json(event.as_bytes()).unwrap()),
            "Authentication: Logon [user.session.start], Failure, by bob, ann@example.com, from 192.0.2.1"
        );
        let long = format!("{{\"actor\":{{\"user\":{{\"name\":\"{}\"}}}}}}", "é".repeat(1_000));
        assert_eq!(says("authentication", &parse_json(long.as_bytes()).unwrap()).chars().count(), LONGEST + 1);
    }
}
