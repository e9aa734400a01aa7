//! What a message of the queue tells: an event of S3, as it is, or wrapped by SNS or EventBridge.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

/// An object that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub bucket: String,
    pub key: String,
    /// The version, where the bucket keeps several.
    pub version: Option<String>,
}

/// How deep messages may be wrapped.
const WRAPPED: usize = 3;

#[derive(Deserialize)]
struct Records {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: Option<S3>,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Named,
    object: Keyed,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Keyed {
    key: String,
    #[serde(rename = "versionId")]
    version: Option<String>,
    #[serde(rename = "version-id")]
    hyphened: Option<String>,
}

#[derive(Deserialize)]
struct Bridge {
    #[serde(rename = "detail-type")]
    kind: String,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    bucket: Named,
    object: Keyed,
}

/// The objects that a message tells of; none where it tells of something else, such as a test or a deletion.
///
/// # Errors
/// Why it is no message of S3.
pub(super) fn objects(body: &str) -> Result<Vec<Object>, String> {
    let mut value: Value = serde_json::from_str(body).map_err(|_| "the message is not JSON".to_string())?;
    for _ in 0..WRAPPED {
        match wrapped(&value) {
            Some(inner) => {
                value =
                    serde_json::from_str(inner).map_err(|_| "the message that SNS wraps is not JSON".to_string())?;
            }
            None => break,
        }
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if let Some(found) = copied(&value) {
        return Ok(found);
    }
    if value.get("detail-type").is_some() {
        let wrong = |error: serde_json::Error| format!("it is no event of S3 in EventBridge: {error}");
        let Bridge { kind, detail } = Bridge::deserialize(&value).map_err(wrong)?;
        // Here keys are as they are; the events of S3 itself have them encoded as in a form.
        let Detail { bucket, object } = detail;
        let made = kind == "Object Created";
        let one = Object { bucket: bucket.name, key: object.key, version: object.version.or(object.hyphened) };
        return Ok(if made { vec![one] } else { Vec::new() });
    }
    let wrong = |error: serde_json::Error| format!("it is no event of S3: {error}");
    let Records { records } = Records::deserialize(&value).map_err(wrong)?;
    let made = records.into_iter().filter(|record| {
        let name = record.event_name.trim_start_matches("s3:");
        name.starts_with("ObjectCreated") || name.starts_with("ObjectRestore:Completed")
    });
    let objects = made.map(|record| {
        let S3 { bucket, object } = record.s3.ok_or("a record has no `s3`")?;
        let key = decoded(&object.key)?;
        Ok(Object { bucket: bucket.name, key, version: object.version.or(object.hyphened) })
    });
    objects.collect()
}

/// The text that SNS wraps.
fn wrapped(value: &Value) -> Option<&str> {
    let notified = value.get("Type").and_then(Value::as_str) == Some("Notification") || value.get("TopicArn").is_some();
    value.get("Message").and_then(Value::as_str).filter(|_| notified)
}

/// What CloudTrail itself tells a topic of: `{"s3Bucket": …, "s3ObjectKey": […]}`.
fn copied(value: &Value) -> Option<Vec<Object>> {
    let bucket = value.get("s3Bucket")?.as_str()?;
    let keys = value.get("s3ObjectKey")?.as_array()?.iter().filter_map(Value::as_str);
    Some(keys.map(|key| Object { bucket: bucket.into(), key: key.into(), version: None }).collect())
}

/// A key as S3 writes it into its events: as in a form, with `+` for a space.
fn decoded(key: &str) -> Result<String, String> {
    let plain = key.replace('+', " ");
    let text = percent_decode_str(&plain).decode_utf8().map_err(|_| "a key is not UTF-8".to_string())?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"logs"},"object":{"key":"a+b/%C3%BC%2B1.json.gz","size":12,"eTag":"d4","versionId":"v1"}}}]}"#;

    fn one(key: &str, version: Option<&str>) -> Vec<Object> {
        vec![Object { bucket: "logs".into(), key: key.into(), version: version.map(Into::into) }]
    }

    #[test]
    fn events_are_found_however_they_are_wrapped() {
        assert_eq!(objects(EVENT), Ok(one("a b/ü+1.json.gz", Some("v1"))));
        let notified =
            serde_json::json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": EVENT});
        assert_eq!(objects(&notified.to_string()), Ok(one("a b/ü+1.json.gz", Some("v1"))));
        let bridge = r#"{"version":"0","detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"logs"},"object":{"key":"a+b.json","version-id":"v2"}}}"#;
        assert_eq!(objects(bridge), Ok(one("a+b.json", Some("v2"))));
        let trail = r#"{"s3Bucket":"logs","s3ObjectKey":["AWSLogs/1.json.gz"]}"#;
        assert_eq!(objects(trail), Ok(one("AWSLogs/1.json.gz", None)));
    }

    #[test]
    fn tests_and_deletions_tell_of_no_object() {
        assert_eq!(objects(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"logs"}"#), Ok(Vec::new()));
        assert_eq!(objects(&EVENT.replace("ObjectCreated:Put", "ObjectRemoved:Delete")), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_message_says_why() {
        for (body, why) in [
            ("hello", "not JSON"),
            ("{}", "no event of S3"),
            (r#"{"Records":[{"eventName":"ObjectCreated:Put"}]}"#, "no `s3`"),
            (
                r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%FF"}}}]}"#,
                "UTF-8",
            ),
            (r#"{"Type":"Notification","Message":"hello"}"#, "SNS"),
        ] {
            assert!(objects(body).is_err_and(|said| said.contains(why)), "{body}");
        }
    }
}
