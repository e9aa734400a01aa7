//! What digests tell, with a clock of its own.

use super::*;

const MINUTE: i64 = 60_000_000_000;
/// 2026-11-21T00:00:00Z.
const DAY: i64 = 1_795_219_200_000_000_000;

fn log(n: usize) -> String {
    format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/21/{n}.json.gz")
}

fn digest_key(hour: i64) -> String {
    format!(
        "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/21/\
         111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20261121T{hour:02}0000Z.json.gz"
    )
}

/// The digest of the hour that ends so many hours after the beginning of the day.
fn digest(hour: i64, files: &[usize], first: bool) -> Digest {
    let time = |hour: i64| format_time(DAY + hour * HOUR);
    let before = digest_key(hour - 1);
    let text = serde_json::json!({
        "awsAccountId": "111122223333", "digestStartTime": time(hour - 1), "digestEndTime": time(hour),
        "previousDigestS3Bucket": if first { None } else { Some("b") },
        "previousDigestS3Object": if first { None } else { Some(before) },
        "logFiles": files.iter().map(|n| serde_json::json!({"s3Bucket": "b", "s3Object": log(*n), "hashValue": "0"})).collect::<Vec<_>>(),
    });
    serde_json::from_value(text).unwrap()
}

struct Place {
    all: Digests,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Place {
    fn new() -> Self {
        let mut place = Place { all: Digests::new(30 * MINUTE, &[], DAY), rows: BTreeMap::new() };
        place.commit();
        place
    }

    fn commit(&mut self) {
        for (key, value) in self.all.changes() {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }

    /// The process dies and begins anew.
    fn again(&mut self, now: i64) {
        let rows: Vec<_> = self.rows.clone().into_iter().collect();
        self.all = Digests::new(30 * MINUTE, &rows, now);
        self.commit();
    }

    fn file(&mut self, n: usize, now: i64) {
        self.all.read(&format!("s3://b/{}", log(n)), now);
        self.commit();
    }

    fn digest(&mut self, hour: i64, files: &[usize], now: i64) {
        let (key, digest) = (digest_key(hour), digest(hour, files, hour == 1));
        self.all.take(&format!("s3://b/{key}"), &key, &digest, &|_| true, now).unwrap();
        self.commit();
    }

    fn due(&mut self, now: i64) -> Vec<String> {
        let gaps = self.all.due(now);
        self.commit();
        gaps.iter().map(|gap| format!("{}: {}", gap.of, gap.why)).collect()
    }
}

#[test]
fn files_that_a_digest_names_and_nobody_read_are_a_gap_once_also_after_a_restart() {
    let mut place = Place::new();
    (0..5).for_each(|n| place.file(n, DAY + 10 * MINUTE));
    place.again(DAY + 20 * MINUTE);
    place.digest(1, &[0, 1, 2, 3, 4, 5, 6, 7, 8], DAY + HOUR);
    place.file(5, DAY + HOUR + MINUTE);
    assert_eq!(place.due(DAY + HOUR + 29 * MINUTE), [] as [&str; 0], "they may still come");
    place.file(6, DAY + HOUR + 29 * MINUTE);
    place.again(DAY + HOUR + 29 * MINUTE);
    assert_eq!(
        place.due(DAY + HOUR + 50 * MINUTE),
        [] as [&str; 0],
        "while the service did not run nothing could come"
    );
    let told = place.due(DAY + HOUR + 59 * MINUTE);
    let why = format!(
        "CloudTrail 111122223333 / eu-west-1: 2 log files that the digest names did not come: {}, {}",
        log(7),
        log(8)
    );
    assert_eq!(told, [why]);
    place.again(DAY + HOUR + 59 * MINUTE);
    place.digest(1, &[0, 1, 2, 3, 4, 5, 6, 7, 8], DAY + 2 * HOUR);
    assert_eq!(place.due(DAY + 2 * HOUR + 29 * MINUTE), [] as [&str; 0], "a digest counts once");
    assert_eq!(place.rows.keys().filter(|key| b"fed".contains(&key[0])).count(), 1, "the digest alone waits");
}

#[test]
fn a_digest_that_is_missing_is_a_gap_and_one_that_comes_out_of_order_is_none() {
    let mut place = Place::new();
    place.digest(1, &[], DAY + HOUR);
    place.digest(3, &[], DAY + 3 * HOUR);
    place.digest(2, &[], DAY + 3 * HOUR + MINUTE);
    assert_eq!(place.due(DAY + 4 * HOUR + 29 * MINUTE), [] as [&str; 0]);
    place.digest(5, &[], DAY + 4 * HOUR + 29 * MINUTE);
    let told = place.due(DAY + 5 * HOUR);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("T050000Z.json.gz` did not come: nobody knows which log files it names"), "{told:?}");
}

#[test]
fn an_hour_after_which_no_digest_came_is_a_gap_once() {
    let mut place = Place::new();
    place.digest(1, &[], DAY + HOUR);
    place.digest(2, &[], DAY + 2 * HOUR);
    assert_eq!(place.due(DAY + 3 * HOUR + 29 * MINUTE), [] as [&str; 0]);
    let told = place.due(DAY + 3 * HOUR + 30 * MINUTE);
    assert!(told.len() == 1 && told[0].contains("up to 2026-11-21T02:00:00Z, and none came since"), "{told:?}");
    place.again(DAY + 4 * HOUR);
    assert_eq!(place.due(DAY + 9 * HOUR), [] as [&str; 0]);
    // It goes on, and ends again.
    place.digest(3, &[], DAY + 9 * HOUR);
    assert_eq!(place.due(DAY + 9 * HOUR + 29 * MINUTE).len(), 1);
}

#[test]
fn what_is_older_than_the_first_look_or_read_elsewhere_is_no_gap() {
    let mut place = Place::new();
    place.digest(0, &[1, 2, 3], DAY + MINUTE);
    let (key, digest) = (digest_key(1), digest(1, &[7, 8], true));
    place.all.take(&format!("s3://b/{key}"), &key, &digest, &|key| key != log(8), DAY + HOUR).unwrap();
    place.file(7, DAY + HOUR);
    assert_eq!(place.due(DAY + 2 * HOUR), [] as [&str; 0]);
    let bad = Digest { digest_end_time: "soon".into(), ..digest };
    assert!(place.all.take("s3://b/x", "x", &bad, &|_| true, DAY).is_err());
}

/// Files of insights are no log files of the trail: what is read of them is not kept, and they were gaps each hour.
#[test]
fn what_is_no_log_file_is_not_waited_for() {
    let mut place = Place::new();
    let (key, mut digest) = (digest_key(2), digest(2, &[], true));
    let insight = "AWSLogs/111122223333/CloudTrail-Insight/eu-west-1/2026/11/21/1.json.gz";
    digest.log_files.push(File { s3_bucket: "b".into(), s3_object: insight.into() });
    place.all.take(&format!("s3://b/{key}"), &key, &digest, &|_| true, DAY + 2 * HOUR).unwrap();
    assert_eq!(place.due(DAY + 3 * HOUR), [] as [&str; 0]);
}

#[test]
fn what_is_remembered_is_bounded_in_time_and_number_and_hostile_rows_are_passed_over() {
    let mut place = Place::new();
    place.file(1, DAY);
    place.digest(1, &[], DAY + HOUR);
    place.due(DAY + 16 * 24 * HOUR);
    let left: Vec<u8> = place.rows.keys().map(|key| key[0]).collect();
    assert_eq!(left, b"bs", "files and digests are forgotten, series are not");
    for n in 0..MOST as i64 + 10 {
        place.all.read(&format!("s3://b/{n}"), n);
    }
    assert!(place.all.files.len() <= MOST && place.all.files.len() >= MOST / 2);
    let rows = [(b"".to_vec(), b"".to_vec()), (b"d".to_vec(), b"{".to_vec()), (b"e\xff".to_vec(), b"1".to_vec())];
    assert!(Digests::new(1, &rows, DAY).named.is_empty());
}
