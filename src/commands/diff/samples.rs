//! The events of a few findings, read again from the files: keeping every event would take as much memory as they do.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tripline_detect::diff::{OfRule, Seen, mark};
use tripline_formats::{Batch, Layout, Reader};

/// How many findings of a kind are shown for each rule.
pub const SHOWN: usize = 3;
/// The longest text of an event that is kept, in characters.
const LONGEST: usize = 4_000;

type Place = (Arc<str>, u64);

/// Events by their place and, where it is known, the mark of their text.
#[derive(Default)]
pub struct Samples(HashMap<(Place, Option<u64>), String>);

impl Samples {
    /// The event of a finding, cut where it is long.
    pub fn of(&self, seen: &Seen) -> Option<&str> {
        self.0.get(&(place(seen), seen.content)).map(String::as_str)
    }
}

fn place(seen: &Seen) -> Place {
    (Arc::clone(&seen.origin.file), seen.origin.line)
}

/// The events of the findings that are shown. What cannot be read any longer is left out.
pub fn read(rules: &[OfRule], files: &[PathBuf], layout: &Layout) -> Samples {
    let shown = rules.iter().flat_map(|of| {
        let changed = of.changed.iter().take(SHOWN).map(|(_, now)| now);
        of.gained.iter().take(SHOWN).chain(of.lost.iter().take(SHOWN)).chain(changed)
    });
    let mut wanted: HashMap<Place, HashSet<Option<u64>>> = HashMap::new();
    for seen in shown {
        wanted.entry(place(seen)).or_default().insert(seen.content);
    }
    let mut out = Samples::default();
    for path in files {
        let name: Arc<str> = path.display().to_string().into();
        let lines: HashSet<u64> = wanted.keys().filter(|(file, _)| *file == name).map(|(_, line)| *line).collect();
        let Some(last) = lines.iter().max() else { continue };
        let Ok(mut reader) = Reader::open(path, layout) else { continue };
        let mut batch = Batch::default();
        let mut ended = false;
        while !ended && matches!(reader.next_into(&mut batch), Ok(true)) {
            for record in batch.iter() {
                ended |= record.line > *last;
                if !lines.contains(&record.line) {
                    continue;
                }
                let text = String::from_utf8_lossy(record.bytes);
                let text = text.trim();
                let at = (Arc::clone(&name), record.line);
                for content in wanted.get(&at).into_iter().flatten() {
                    if content.is_none_or(|content| content == mark(text)) {
                        out.0.entry((at.clone(), *content)).or_insert_with(|| cut(text, LONGEST));
                    }
                }
            }
        }
    }
    out
}

/// The beginning of a text, and a sign that there is more.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
        None => text.to_string(),
    }
}
