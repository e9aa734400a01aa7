//! A finding from its OCSF form, as findings are written out: enough of it to say where its alert would go.

use serde_json::Value as Json;

use crate::{About, Told};

/// Reads a Detection Finding: what findings name its rule by, what it says of the rule, and the finding.
///
/// # Errors
/// Where it is none; what it lacks.
pub fn finding(json: &Json) -> Result<(String, About, Told), String> {
    if json.get("class_uid").and_then(Json::as_i64) != Some(2004) {
        return Err("it is no OCSF Detection Finding (`class_uid` 2004)".into());
    }
    let at = |path: &str| json.pointer(path).unwrap_or(&Json::Null);
    let text = |path: &str| at(path).as_str().map(str::to_string);
    let needed = |path: &str| {
        text(path).ok_or_else(|| format!("it has no `{}`", path.trim_start_matches('/').replace('/', ".")))
    };
    let items = |path: &str| at(path).as_array().map(Vec::as_slice).unwrap_or_default();
    let time = |path: &str| at(path).as_i64().and_then(|millis| millis.checked_mul(1_000_000));
    let rule = needed("/finding_info/analytic/uid")?;
    let attacks = items("/finding_info/attacks").iter();
    let named = |json: &Json, key: &str| {
        let one = json.get(key)?;
        Some((one.get("uid")?.as_str()?.to_string(), one.get("name")?.as_str()?.to_string()))
    };
    let mut about = About {
        name: rule.clone(),
        title: text("/finding_info/analytic/name").unwrap_or_default(),
        owner: text("/unmapped/owner"),
        status: text("/unmapped/rule_status").unwrap_or_default(),
        tags: strings(at("/finding_info/types")),
        runbook: text("/remediation/desc"),
        references: strings(at("/remediation/references")),
        ..About::default()
    };
    for attack in attacks {
        about.techniques.extend(named(attack, "sub_technique").or_else(|| named(attack, "technique")));
        about.tactics.extend(named(attack, "tactic").filter(|tactic| !about.tactics.contains(tactic)));
    }
    let span = time("/finding_info/first_seen_time").zip(time("/finding_info/last_seen_time"));
    let pair = |json: &Json, key: &str, value: &str| {
        Some((json.get(key)?.as_str()?.to_string(), json.get(value)?.as_str()?.to_string()))
    };
    let told = Told {
        uid: needed("/finding_info/uid")?,
        revision: at("/unmapped/revision").as_u64().unwrap_or(0),
        title: needed("/finding_info/title")?,
        severity: at("/severity_id")
            .as_i64()
            .filter(|id| (1..=5).contains(id))
            .ok_or("its `severity_id` is none of 1 to 5")?,
        time: time("/time"),
        span,
        events: at("/count").as_u64().unwrap_or(1),
        key: strings(at("/unmapped/key")),
        window: 0,
        entities: items("/observables").iter().filter_map(|one| pair(one, "name", "value")).collect(),
        context: match at("/unmapped/context") {
            Json::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            _ => Vec::new(),
        },
        risk: at("/risk_score").as_i64().zip(text("/unmapped/risk_entity")),
        sources: strings(at("/finding_info/data_sources")),
        class: text("/finding_info/related_events/0/type").unwrap_or_default(),
        origin: text("/finding_info/related_events/0/uid").unwrap_or_default(),
        why: items("/unmapped/why")
            .iter()
            .filter_map(|one| Some((one.get("test")?.as_str()?.to_string(), strings(one.get("saw")?))))
            .collect(),
        raw: match at("/evidences/0/data") {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        },
    };
    Ok((rule, about, told))
}

fn strings(json: &Json) -> Vec<String> {
    let items = json.as_array().into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_finding_lacks_is_said() {
        let mut finding_json = json!({
            "class_uid": 2004, "severity_id": 4, "time": 1_000,
            "finding_info": {"uid": "u", "title": "t", "analytic": {"uid": "r", "name": "n"}, "types": ["a"],
                "attacks": [{"technique": {"uid": "T1", "name": "x"}, "tactic": {"uid": "TA1", "name": "y"}}]},
            "observables": [{"name": "user", "value": "alice"}], "evidences": [{"data": {"a": 1}}]
        });
        let (rule, about, told) = finding(&finding_json).unwrap();
        assert_eq!((rule.as_str(), about.tags.as_slice()), ("r", ["a".to_string()].as_slice()));
        assert_eq!(about.tactics, [("TA1".to_string(), "y".to_string())]);
        assert_eq!(told.entities, [("user".to_string(), "alice".to_string())]);
        assert_eq!((told.time, told.raw.as_str()), (Some(1_000_000_000), "{\"a\":1}"));
        finding_json["finding_info"]["title"] = Json::Null;
        assert_eq!(finding(&finding_json).unwrap_err(), "it has no `finding_info.title`");
        assert!(finding(&json!([1])).unwrap_err().contains("Detection Finding"));
    }
}
