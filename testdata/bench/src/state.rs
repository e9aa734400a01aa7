//! Rules over several events by themselves: how many updates of state a second, and how much memory a key takes.
//! Events are judged by themselves before; what is timed is from what was kept of them to findings.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tripline_detect::{Compiler, Detector, Ruleset, SourceChoice, Stream, Taken};
use tripline_semantic::NoFiles;

const MAPPING: &str = "mapping m from t.s {
  time: timestamp(raw.t)  user.uid: raw.u  message: raw.a
  otherwise -> authentication { activity_id: \"Logon\" severity_id: \"Low\" }
}
";

/// What is measured: its name, and the rule.
const CASES: [(&str, &str); 4] = [
    (
        "threshold",
        "rule r { title: \"t\" on authentication group by user.uid within 30d max_keys 20000000 max_events 100000000 having count() >= 4 }",
    ),
    (
        "sequence",
        "rule r { title: \"t\" sequence by user.uid within 30d max_keys 20000000 max_events 100000000 {
           a: authentication where message == \"0\"
           b: authentication where message == \"1\"
           c: authentication where message == \"9\" } }",
    ),
    // Each value of a key is new: every event is judged by the feature, and none fires.
    (
        "new in",
        "feature f = set of message by user.uid over 90d max_keys 20000000 max_events 100000000 warmup 0s on authentication
         rule r { title: \"t\" on authentication where not (message is new in f) }",
    ),
    // The event alone decides: the feature remembers, and is never read.
    (
        "set",
        "feature f = set of message by user.uid over 90d max_keys 20000000 max_events 100000000 warmup 0s on authentication
         rule r { title: \"t\" on authentication where message is new in f and message == \"none\" }",
    ),
];

/// How many events are judged before their state is timed.
const CHUNK: usize = 100_000;

/// Measures every case (or those whose name has a text in it) over so many keys, each with so many events. How much memory
/// a key takes is right of the first case alone: what it gave back is not taken from the system again.
///
/// # Errors
/// Where a rule does not compile.
pub fn run(keys: usize, each: usize, only: &str) -> Result<(), String> {
    println!("{keys} keys, {each} events each");
    for (name, rule) in CASES.into_iter().filter(|(name, _)| name.contains(only)) {
        let mut compiler = Compiler::new();
        compiler.add("bench.trip", &format!("{MAPPING}{rule}"));
        let ruleset = compiler.compile(&NoFiles, 0);
        if ruleset.has_errors() {
            return Err(format!("{name}: {:?}", ruleset.diagnostics));
        }
        one(name, &ruleset, keys, each)?;
    }
    Ok(())
}

fn one(name: &str, ruleset: &Ruleset, keys: usize, each: usize) -> Result<(), String> {
    let mut stream = Stream::new(ruleset).ok_or("there is no rule over several events")?;
    // What came is released at once.
    (0..ruleset.ir.sources.len()).for_each(|source| stream.machine().set_lateness(source, 0));
    let mut detector = Detector::new(ruleset);
    let choice = SourceChoice::Named("t.s".into());
    let before = resident();
    let (mut spent, mut found, mut slowest) = (Duration::ZERO, 0, f64::MAX);
    let mut chunk: Vec<Taken> = Vec::with_capacity(CHUNK);
    let total = keys * each;
    for n in 0..total {
        // Keys in an order that no memory likes, one millisecond apart.
        let key = (n % keys).wrapping_mul(7_919) % keys;
        let time = 1_767_225_600_000_usize + n;
        let text = format!("{{\"t\":{time},\"u\":\"user{key}\",\"a\":\"{}\"}}", n / keys);
        let judged = detector.judge(&choice, text.as_bytes(), None)?;
        chunk.push(judged.taken);
        if chunk.len() == CHUNK || n + 1 == total {
            let events = chunk.len() as f64;
            let begun = spent_on_a_core();
            for taken in chunk.drain(..) {
                stream.take(&taken);
            }
            found += stream.advance().len();
            let took = spent_on_a_core().saturating_sub(begun);
            spent += took;
            slowest = slowest.min(events / took.as_secs_f64());
        }
    }
    let seconds = spent.as_secs_f64().max(1e-9);
    let held = resident().saturating_sub(before) as f64;
    println!(
        "{name:<10} {:>9.0} updates/s (slowest {CHUNK}: {slowest:>9.0}/s), {:>6.0} bytes a key, {found} findings",
        total as f64 / seconds,
        held / keys as f64,
    );
    Ok(())
}

/// How long this thread has had a core: what else the machine does does not count. The time of day where the system
/// does not tell.
fn spent_on_a_core() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match told.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()) {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    }
}

/// Resident memory in bytes, where the system tells.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}
