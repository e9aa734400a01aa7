//! Digests of CloudTrail: each hour one is delivered beside the log files, and names the files of that hour and the digest
//! before it. So they tell which files should have come.
//!
//! A file that is named and was not read within the time of `digest_wait` is a gap; so is a digest that the next one names,
//! and an hour after which none came. What was read, what is named, and which digests were taken are rows of the source:
//! they are committed with the objects that they come from.
//!
//! What digests are: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html>.
//! Their signatures and hashes are not looked at: whether files were changed is not asked here.

mod take;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tripline_connect::source::Gap;
use tripline_event::format_time;

pub(super) use take::{locked, take, watch};

const HOUR: i64 = 3_600_000_000_000;
/// How long (nanoseconds) a file that was read waits for a digest that names it.
const FILES_KEPT: i64 = 48 * HOUR;
/// How long digests are known that were taken: longer than a queue keeps a message.
const TAKEN_KEPT: i64 = 15 * 24 * HOUR;
/// How many files, named files, and digests are remembered of each kind.
const MOST: usize = 300_000;
/// How many series of digests (an account, a region and a trail each) are remembered.
const MOST_SERIES: usize = 20_000;
/// How many files a gap names.
const SHOWN: usize = 3;

/// What an object is known by.
type Print = [u8; 16];
/// A row that changed.
type Row = (Vec<u8>, Option<Vec<u8>>);

/// What a digest says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Digest {
    aws_account_id: String,
    digest_start_time: String,
    digest_end_time: String,
    #[serde(default)]
    previous_digest_s3_bucket: Option<String>,
    #[serde(default)]
    previous_digest_s3_object: Option<String>,
    #[serde(default)]
    log_files: Vec<File>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    s3_bucket: String,
    s3_object: String,
}

/// A digest of which files are still to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    /// The account and the region.
    of: String,
    start: i64,
    end: i64,
    /// When what has not come is a gap.
    due: i64,
    /// Its key.
    key: String,
    /// How many of what it names are still to come.
    #[serde(skip)]
    left: usize,
}

/// The digests of an account, a region and a trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Series {
    of: String,
    /// Up to when they tell.
    end: i64,
    /// Whether it was told that no more come.
    told: bool,
}

/// A file that a digest names, or the digest before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Expected {
    by: Print,
    key: String,
    digest: bool,
}

/// What is known of digests and files. Times are of the clock, nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Digests {
    wait: i64,
    /// When this was asked for first: what is older may have been read by nobody.
    begun: i64,
    /// When the service began.
    started: i64,
    files: HashMap<Print, i64>,
    taken: HashMap<Print, i64>,
    named: BTreeMap<Print, Named>,
    expected: HashMap<Print, Expected>,
    series: BTreeMap<String, Series>,
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// How many files are not waited for, as too many are.
    unjudged: u64,
}

/// Whether a key is that of a digest.
pub(super) fn is_digest(key: &str) -> bool {
    key.contains("/CloudTrail-Digest/")
}

/// Whether a key is that of a log file of CloudTrail.
pub(super) fn is_log(key: &str) -> bool {
    key.contains("/CloudTrail/")
}

/// What the object of this name (`s3://bucket/key`) is known by.
fn print_of(name: &str) -> Print {
    let mut out = Print::default();
    out.iter_mut().zip(Sha256::digest(name.as_bytes())).for_each(|(to, from)| *to = from);
    out
}

fn key_of(kind: u8, of: &[u8]) -> Vec<u8> {
    [&[kind], of].concat()
}

/// Which series a digest is of, and its region: its key names them. Those that are delivered later besides the hourly ones
/// (`_backfill`) are of none.
fn series_of(key: &str) -> Option<(&str, &str)> {
    let region = key.split_once("/CloudTrail-Digest/")?.1.split('/').next()?;
    let stem = key.rsplit('/').next()?.strip_suffix(".json.gz")?;
    let (series, _) = stem.rsplit_once('_').filter(|(_, last)| *last != "backfill")?;
    Some((series, region))
}

impl Digests {
    /// What was kept, for a service that begins now. Nothing is due before the service has run for `wait`.
    pub fn new(wait: i64, rows: &[(Vec<u8>, Vec<u8>)], now: i64) -> Self {
        let mut all = Digests { wait, begun: now, started: now, ..Digests::default() };
        let mut known = false;
        for (key, value) in rows {
            let Some((kind, of)) = key.split_first() else { continue };
            let (print, time) = (Print::try_from(of).ok(), <[u8; 8]>::try_from(value.as_slice()).ok());
            let time = time.map(i64::from_le_bytes);
            match (kind, print, time) {
                (b'b', _, Some(time)) => (all.begun, known) = (time, true),
                (b'f', Some(print), Some(time)) => drop(all.files.insert(print, time)),
                (b't', Some(print), Some(time)) => drop(all.taken.insert(print, time)),
                (b'd', Some(print), _) => {
                    if let Ok(named) = serde_json::from_slice::<Named>(value) {
                        let due = named.due.max(now.saturating_add(wait));
                        all.named.insert(print, Named { due, ..named });
                    }
                }
                (b'e', Some(print), _) => {
                    all.expected.extend(serde_json::from_slice(value).ok().map(|expected| (print, expected)));
                }
                (b's', ..) => {
                    let (name, series) = (std::str::from_utf8(of), serde_json::from_slice(value));
                    all.series.extend(name.ok().zip(series.ok()).map(|(name, series)| (name.to_string(), series)));
                }
                _ => {}
            }
        }
        for expected in all.expected.values() {
            if let Some(named) = all.named.get_mut(&expected.by) {
                named.left += 1;
            }
        }
        if !known {
            all.changed.insert(vec![b'b'], Some(now.to_le_bytes().to_vec()));
        }
        all
    }

    /// What changed since this was last asked.
    pub fn changes(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// How many files are not waited for since this was last asked.
    pub fn unjudged(&mut self) -> u64 {
        std::mem::take(&mut self.unjudged)
    }

    fn keep(&mut self, kind: u8, of: &[u8], value: Option<Vec<u8>>) {
        self.changed.insert(key_of(kind, of), value);
    }

    /// An object was read whole.
    pub fn read(&mut self, name: &str, now: i64) {
        let print = print_of(name);
        if let Some(expected) = self.expected.remove(&print) {
            self.keep(b'e', &print, None);
            self.settled(&expected.by);
        } else {
            bound(&mut self.files, &mut self.changed, b'f');
            self.files.insert(print, now);
            self.keep(b'f', &print, Some(now.to_le_bytes().to_vec()));
        }
    }

    /// Something that a digest names came. A digest of which nothing more is to come is forgotten.
    fn settled(&mut self, by: &Print) {
        if let Some(named) = self.named.get_mut(by) {
            named.left = named.left.saturating_sub(1);
            if named.left == 0 {
                self.named.remove(by);
                self.keep(b'd', by, None);
            }
        }
    }

    /// Takes a digest that was read under this key. Of the files that it names, `wanted` says which are read here.
    ///
    /// # Errors
    /// Why it is no digest.
    pub fn take(
        &mut self,
        name: &str,
        key: &str,
        digest: &Digest,
        wanted: &dyn Fn(&str) -> bool,
        now: i64,
    ) -> Result<(), String> {
        let time = |text: &str| {
            tripline_event::parse_time(text).ok_or_else(|| "the digest does not say of which time it is".to_string())
        };
        let (start, end) = (time(&digest.digest_start_time)?, time(&digest.digest_end_time)?);
        let print = print_of(name);
        bound(&mut self.taken, &mut self.changed, b't');
        if self.taken.insert(print, now).is_some() {
            return Ok(());
        }
        self.keep(b't', &print, Some(now.to_le_bytes().to_vec()));
        self.read(name, now);
        let series = series_of(key);
        let region = series.map_or("unknown region", |(_, region)| region);
        let account: String = digest.aws_account_id.chars().take(64).collect();
        let of = format!("CloudTrail {account} / {region}");
        if let Some((series, _)) = series {
            self.follow(series, &of, end);
        }
        // What was delivered before this was asked for may have been read before, or by nobody.
        if start < self.begun {
            return Ok(());
        }
        let mut wanting = Vec::new();
        for file in digest.log_files.iter().filter(|file| is_log(&file.s3_object) && wanted(&file.s3_object)) {
            wanting.push((&file.s3_bucket, &file.s3_object, false));
        }
        let before = digest.previous_digest_s3_bucket.as_ref().zip(digest.previous_digest_s3_object.as_ref());
        if let Some((bucket, key)) = before.filter(|_| start > self.begun && series.is_some()) {
            wanting.push((bucket, key, true));
        }
        let mut left = 0;
        for (bucket, key, digest) in wanting {
            let file = print_of(&format!("s3://{bucket}/{key}"));
            if self.files.remove(&file).is_some() {
                self.keep(b'f', &file, None);
            } else if self.expected.len() >= MOST {
                self.unjudged += 1;
            } else if !(digest && self.taken.contains_key(&file)) {
                left += 1;
                let expected = Expected { by: print, key: key.chars().take(1_024).collect(), digest };
                self.keep(b'e', &file, serde_json::to_vec(&expected).ok());
                self.expected.insert(file, expected);
            }
        }
        if left > 0 {
            let named = Named { of, start, end, due: now.saturating_add(self.wait), key: key.to_string(), left };
            self.keep(b'd', &print, serde_json::to_vec(&named).ok());
            self.named.insert(print, named);
        }
        Ok(())
    }

    /// A series goes on.
    fn follow(&mut self, name: &str, of: &str, end: i64) {
        let before = self.series.get(name).map_or(i64::MIN, |series| series.end);
        if end > before && (self.series.contains_key(name) || self.series.len() < MOST_SERIES) {
            let series = Series { of: of.to_string(), end, told: false };
            self.keep(b's', name.as_bytes(), serde_json::to_vec(&series).ok());
            self.series.insert(name.to_string(), series);
        }
    }

    /// What should have come by this time, and did not. It is taken for told. `now` is as late as everything is read that
    /// was there to be read.
    pub fn due(&mut self, now: i64) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let due: Vec<Print> = self.named.iter().filter(|(_, one)| now >= one.due).map(|(print, _)| *print).collect();
        let mut of: HashMap<Print, Vec<(Print, Expected)>> = due.iter().map(|by| (*by, Vec::new())).collect();
        if !due.is_empty() {
            for (print, one) in &self.expected {
                if let Some(left) = of.get_mut(&one.by) {
                    left.push((*print, one.clone()));
                }
            }
        }
        for by in due {
            let Some(named) = self.named.remove(&by) else { continue };
            self.keep(b'd', &by, None);
            let mut left = of.remove(&by).unwrap_or_default();
            left.sort_by(|(_, a), (_, b)| a.key.cmp(&b.key));
            for (print, _) in &left {
                self.expected.remove(print);
                self.keep(b'e', print, None);
            }
            gaps.extend(missing(&named, &left));
        }
        let patience = HOUR.saturating_add(self.wait);
        let ran = now.saturating_sub(self.started) >= self.wait;
        let ended = |series: &&mut Series| ran && !series.told && now.saturating_sub(series.end) >= patience;
        let mut told = Vec::new();
        for (name, series) in &mut self.series {
            if let Some(series) = Some(series).filter(ended) {
                series.told = true;
                let why = format!(
                    "the last digest tells up to {}, and none came since: was the trail stopped, or the validation of its \
                     log files?",
                    format_time(series.end)
                );
                gaps.push(gap(&series.of, series.end, now, None, why));
                told.push((name.clone(), serde_json::to_vec(series).ok()));
            }
        }
        told.into_iter().for_each(|(name, value)| self.keep(b's', name.as_bytes(), value));
        forget(&mut self.files, &mut self.changed, b'f', now.saturating_sub(FILES_KEPT));
        forget(&mut self.taken, &mut self.changed, b't', now.saturating_sub(TAKEN_KEPT));
        gaps
    }
}

fn gap(of: &str, from: i64, until: i64, missing: Option<u64>, why: String) -> Gap {
    let event_source = Some("aws.cloudtrail".to_string());
    Gap { event_source, missing, ..Gap::times(of, from, until, why) }
}

/// What of a digest did not come.
fn missing(named: &Named, left: &[(Print, Expected)]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let files: Vec<&str> = left.iter().filter(|(_, one)| !one.digest).map(|(_, one)| one.key.as_str()).collect();
    if !files.is_empty() {
        let first = files.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        let more = if files.len() > SHOWN { ", …" } else { "" };
        let files = tripline_base::terminal::counted(files.len() as u64, "log file");
        let why = format!("{files} that the digest names did not come: {first}{more}");
        gaps.push(gap(&named.of, named.start, named.end, None, why));
    }
    if left.iter().any(|(_, one)| one.digest) {
        let why = format!("the digest before `{}` did not come: nobody knows which log files it names", named.key);
        gaps.push(gap(&named.of, named.start.saturating_sub(HOUR), named.start, None, why));
    }
    gaps
}

/// Where there are too many, the older half goes.
fn bound(all: &mut HashMap<Print, i64>, changed: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>, kind: u8) {
    if all.len() < MOST {
        return;
    }
    let mut times: Vec<i64> = all.values().copied().collect();
    let middle = times.len() / 2;
    let (_, middle, _) = times.select_nth_unstable(middle);
    forget(all, changed, kind, middle.saturating_add(1));
}

/// Forgets what is older than this.
fn forget<K: Hash + Eq + AsRef<[u8]>>(
    all: &mut HashMap<K, i64>,
    changed: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    kind: u8,
    before: i64,
) {
    all.retain(|print, at| {
        let kept = *at >= before;
        if !kept {
            changed.insert(key_of(kind, print.as_ref()), None);
        }
        kept
    });
}
