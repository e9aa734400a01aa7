//! A ServiceNow on loopback that keeps records, and what becomes of alerts there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tripline_alert::{Occasion, Verdict};
use tripline_connect::{Content, Destination, Handle, Outcome, Parcel, sample};

use super::KIND;
use super::encode::note;
use crate::testing::{
    Fake, NOON, Reply, Request, alert, deliver, monster, open, parcel, pretty, read, renders_what_is_sent, wait,
};
use crate::ticket::tests::{Traps, acknowledge, close, digest, found, reopen};

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Json>>>, Traps);

impl Records {
    fn start(&self) -> Fake {
        let records = self.clone();
        Fake::start(move |request| records.1.reply(request, |request| records.answer(request)))
    }

    fn answer(&self, request: &Request) -> Reply {
        // `tripline:s3cret`.
        if !["Basic dHJpcGxpbmU6czNjcmV0", "Bearer s3cret"].contains(&request.header("authorization")) {
            let error =
                json!({ "message": "User Not Authenticated", "detail": "Required to provide Auth information" });
            return Reply::json(401, &json!({ "error": error, "status": "failure" }));
        }
        let mut records = self.0.lock().unwrap();
        let path: Vec<&str> = request.path().strip_prefix("/api/now/table/").unwrap().split('/').collect();
        let lacks = |message: &str, detail: &str| json!({ "error": { "message": message, "detail": detail }, "status": "failure" });
        if path[0] == "sys_user" {
            return Reply::json(200, &json!({ "result": [{ "name": "Tripline Service" }] }));
        }
        if path[0] != "incident" {
            return Reply::json(400, &lacks("Invalid table", path[0]));
        }
        let at = path.get(1).and_then(|id| records.iter().position(|record| record["sys_id"] == *id));
        if path.len() > 1 && at.is_none() {
            return Reply::json(
                404,
                &lacks("No Record found", "Record doesn't exist or ACL restricts the record retrieval"),
            );
        }
        let body = request.json();
        // What is too long is cut there, and nobody is told.
        for (field, most) in
            [("short_description", 160), ("description", 4000), ("correlation_id", 100), ("work_notes", 4000)]
        {
            assert!(body[field].as_str().is_none_or(|text| text.chars().count() <= most), "{field}");
        }
        match request.method.as_str() {
            "GET" if at.is_some() => Reply::json(200, &json!({ "result": records[at.unwrap()] })),
            "GET" => {
                let query = request.query("sysparm_query").unwrap_or_default();
                let id =
                    query.strip_prefix("correlation_id=").map(|query| query.split('^').next().unwrap().to_string());
                let found: Vec<&Json> = records
                    .iter()
                    .filter(|record| id.as_deref().is_some_and(|id| record["correlation_id"] == id))
                    .collect();
                Reply::json(200, &json!({ "result": found }))
            }
            "POST" => {
                let mut record = body;
                record["sys_id"] = format!("{:032x}", records.len() + 1).into();
                record["number"] = format!("INC{:07}", records.len() + 1).into();
                record["notes"] = json!([]);
                if record["state"].is_null() {
                    record["state"] = "1".into();
                }
                records.push(record.clone());
                Reply::json(201, &json!({ "result": record }))
            }
            "PATCH" => {
                if body["state"] == "6" && (body["close_code"].is_null() || body["close_notes"].is_null()) {
                    let why = "The following mandatory fields are not filled in: Resolution code, Resolution notes";
                    return Reply::json(403, &lacks("Operation Failed", why));
                }
                let record = &mut records[at.unwrap()];
                for (field, value) in body.as_object().unwrap() {
                    match field.as_str() {
                        "work_notes" => record["notes"].as_array_mut().unwrap().push(value.clone()),
                        field => record[field] = value.clone(),
                    }
                }
                Reply::json(200, &json!({ "result": record }))
            }
            other => panic!("{other}"),
        }
    }

    fn all(&self) -> Vec<Json> {
        self.0.lock().unwrap().clone()
    }
}

fn config(url: &str, more: &str) -> String {
    format!("url = \"{url}\"\nuser = \"tripline\"\npassword = {{ file = \"password\" }}\n{more}")
}

fn servicenow(fake: &Fake, more: &str) -> Box<dyn Destination> {
    open(&KIND, &config(&fake.url, more), &[("password", "s3cret"), ("token", "s3cret")])
}

fn state(record: &Json) -> (&str, usize) {
    (record["state"].as_str().unwrap(), record["notes"].as_array().unwrap().len())
}

#[test]
fn an_alert_is_one_incident_from_its_beginning_to_its_end() {
    let records = Records::default();
    let fake = records.start();
    let now =
        servicenow(&fake, "values = { category = \"security\" }\nclose_codes = { false_positive = \"User error\" }");
    let (mut alert, mut handle) = (alert(), None);
    let mut send =
        |alert: &_, occasion| assert_eq!(deliver(&*now, alert, occasion, &mut handle).outcome, Outcome::Taken);
    send(&alert, Occasion::Opened);
    insta::assert_snapshot!("opened", pretty(&records.all()[0]));
    send(&alert, Occasion::Updated);
    assert_eq!(state(&records.all()[0]), ("1", 0), "nothing new");
    found(&mut alert, 2);
    send(&alert, Occasion::Updated);
    acknowledge(&mut alert);
    send(&alert, Occasion::Acted);
    assert_eq!(state(&records.all()[0]), ("2", 2));
    close(&mut alert, Verdict::FalsePositive);
    send(&alert, Occasion::Acted);
    assert_eq!(state(&records.all()[0]), ("6", 3));
    insta::assert_snapshot!("closed", pretty(&records.all()[0]));
    reopen(&mut alert);
    send(&alert, Occasion::Acted);
    assert_eq!((state(&records.all()[0]), records.all().len()), (("2", 4), 1));
}

#[test]
fn a_test_and_a_digest_are_records_of_their_own() {
    let records = Records::default();
    let fake = records.start();
    let now = servicenow(&fake, "");
    let test = Parcel { id: "t".into(), attempt: 0, content: Content::Alert(Box::new(sample(NOON))), handle: None };
    assert_eq!(wait(now.send(&test)).outcome, Outcome::Taken);
    for _ in 0..2 {
        assert_eq!(wait(now.send(&digest())).outcome, Outcome::Taken);
    }
    let all = records.all();
    assert_eq!(all.len(), 2, "the digest that came twice is there once");
    assert!(all[0]["short_description"].as_str().unwrap().starts_with("[TEST] "));
    insta::assert_snapshot!("digest", pretty(&all[1]));
}

#[test]
fn what_a_crash_hid_is_found_again() {
    let records = Records::default();
    let fake = records.start();
    let now = servicenow(&fake, "");
    let mut alert = alert();
    records.1.set("POST", "/incident", Reply::Cut, true);
    records.1.set("PATCH", "1", Reply::Cut, true);
    assert!(matches!(wait(now.send(&parcel(&alert, Occasion::Opened, None))).outcome, Outcome::Later { .. }));
    found(&mut alert, 2);
    close(&mut alert, Verdict::TruePositive);
    let mut handle = None;
    for taken in [false, true] {
        // The attempt is counted anew after a crash.
        let made = wait(now.send(&parcel(&alert, Occasion::Acted, handle.clone())));
        assert_eq!(made.outcome == Outcome::Taken, taken, "{made:?}");
        handle = made.own.map(|own| Handle { own, ..Handle::default() });
    }
    assert_eq!((records.all().len(), state(&records.all()[0])), (1, ("6", 1)));
}

#[test]
fn a_deleted_record_is_made_anew_and_a_closed_alert_makes_none() {
    let records = Records::default();
    let fake = records.start();
    let (now, mut alert, mut handle) = (servicenow(&fake, ""), alert(), None);
    deliver(&*now, &alert, Occasion::Opened, &mut handle);
    records.0.lock().unwrap().clear();
    found(&mut alert, 2);
    assert_eq!(deliver(&*now, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!(records.all().len(), 1);
    records.0.lock().unwrap().clear();
    close(&mut alert, Verdict::Duplicate);
    assert_eq!(wait(now.send(&parcel(&alert, Occasion::Acted, None))).outcome, Outcome::Taken);
    assert!(records.all().is_empty());
}

#[test]
fn a_monster_is_taken_and_breaks_out_of_nothing() {
    let records = Records::default();
    let fake = records.start();
    let (now, mut monster, mut handle) = (servicenow(&fake, ""), monster(), None);
    assert_eq!(deliver(&*now, &monster, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    found(&mut monster, 9);
    assert_eq!(deliver(&*now, &monster, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    assert_eq!(note("[code]<b>[/CODE] [[code] [x]"), "[ code]<b>[ /CODE] [[ code] [x]");
}

#[test]
fn errors_say_what_is_to_be_done() {
    let records = Records::default();
    let fake = records.start();
    let send = |now: &dyn Destination| match wait(now.send(&parcel(&alert(), Occasion::Opened, None))).outcome {
        Outcome::Later { reason, after } => (reason, after),
        other => panic!("{other:?}"),
    };
    let wrong = open(&KIND, &config(&fake.url, ""), &[("password", "wrong")]);
    assert!(send(&*wrong).0.contains("User Not Authenticated"));
    assert!(wait(wrong.check()).unwrap_err().contains("wrong or have expired"));
    let table = servicenow(&fake, "table = \"incidents\"");
    assert!(wait(table.check()).unwrap_err().contains("no such table"));
    let token = format!("url = \"{}\"\ntoken = {{ file = \"token\" }}", fake.url);
    let bearer = open(&KIND, &token, &[("token", "s3cret")]);
    assert_eq!(wait(bearer.check()).unwrap(), ["signed in as Tripline Service", "the table incident can be read"]);
    let now = servicenow(&fake, "");
    records.1.set("POST", "/incident", Reply::json(429, &json!({})).with("retry-after", "9"), false);
    assert_eq!(send(&*now).1, Some(Duration::from_secs(9)));
    let page =
        Reply::Answer { status: 200, headers: Vec::new(), body: "<html>Your instance is hibernating</html>".into() };
    records.1.set("GET", "/incident", page, false);
    assert!(send(&*now).0.contains("is the instance awake"));
    for (reply, wanted) in [
        (Reply::json(500, &json!({})), "500"),
        (Reply::Hang, "no answer in time"),
        (Reply::Cut, "the connection broke"),
        (
            Reply::json(403, &json!({ "error": { "message": "Operation Failed", "detail": "ACL Exception" } })),
            "ACL Exception",
        ),
    ] {
        records.1.set("POST", "/incident", reply, false);
        let reason = send(&*now).0;
        assert!(reason.contains(wanted), "{reason}");
    }
    assert!(records.all().is_empty());
}

#[test]
fn a_configuration_is_helped() {
    let said = |text: &str| read(&KIND, &format!("url = \"https://example.service-now.com\"\n{text}")).1.join("\n");
    let basic = "user = \"u\"\npassword = { env = \"P\" }\n";
    assert_eq!(said(basic), "");
    assert!(said("").contains("has no `token`"));
    assert!(said("user = \"u\"").contains("either a `user` with a `password`, or a `token`"));
    assert!(said(&format!("{basic}token = {{ env = \"T\" }}")).contains("either a `user`"));
    assert!(said(&format!("{basic}values = {{ state = \"6\" }}")).contains("no field that `values` can give"));
    assert!(said(&format!("{basic}table = \"../x\"")).contains("the name of a table"));
    assert!(said(&format!("{basic}close_codes = {{ bad = \"x\" }}")).contains("a verdict is one of"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let records = Records::default();
    let fake = records.start();
    let text = config(&fake.url, "values = { category = \"security\" }");
    renders_what_is_sent(&KIND, &text, &[("password", "s3cret")], &fake);
}
