//! Files of JSON lines, read from where the last commit left them, and on as they grow.
//!
//! A file is known by its device, its number and its first bytes, not by its name: renaming it loses nothing and
//! doubles nothing. One that is shorter than what was read of it, or begins otherwise, was truncated and is read
//! from its beginning. One that is no longer found under the pattern is read to its end, looked at for a while
//! longer, and forgotten.

mod config;
mod find;
mod identity;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tripline_connect::source::{Arrival, Intake, Source, Stopped};

use config::Files;
pub(crate) use config::KIND;
use identity::{Id, Prefix, id_of};
use lines::{Cut, Read};

/// How long a file that was renamed or deleted is looked at: who writes it may not know yet.
const LINGER: Duration = Duration::from_secs(60);
/// How many files a source has at most.
const MOST_FILES: usize = 10_000;
/// How many files are held open while nothing is read of them.
const MOST_OPEN: usize = 256;

/// A file, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Place {
    /// Where it was found last.
    path: PathBuf,
    /// Up to which byte it was read.
    offset: u64,
    /// How many lines that were.
    line: u64,
    /// Whether a line that is too long is being passed over.
    #[serde(default)]
    skipping: bool,
    /// How it begins.
    begin: Prefix,
}

/// A file that is read.
#[derive(Debug, Default)]
struct Open {
    place: Place,
    handle: Option<std::fs::File>,
    /// Whether it was said that it cannot be read.
    complained: bool,
    /// Since when it is not found any more.
    gone: Option<Instant>,
}

/// Reads files until the service stops, or until their ends where they are not followed.
struct Reader {
    config: Files,
    folder: PathBuf,
    once: bool,
    position: Option<Vec<u8>>,
    intake: Intake,
}

impl Source for Reader {
    fn run(mut self: Box<Self>) {
        let mut files = self.taken_up();
        let follow = self.config.follow && !self.once;
        let mut full = false;
        loop {
            let found = find::files(&self.folder, &self.config.path, MOST_FILES);
            if found.len() >= MOST_FILES && !full {
                full = true;
                self.intake.say(&format!("there are more than {MOST_FILES} files; the others wait"));
            }
            self.meet(&mut files, found);
            let Ok(progress) = self.read_all(&mut files, follow) else { return };
            self.forget(&mut files, follow);
            if progress {
                continue;
            }
            if !follow || self.intake.stop().wait(self.config.poll) {
                return;
            }
        }
    }
}

impl Reader {
    /// The files that a position names, where they still are what they were.
    fn taken_up(&mut self) -> BTreeMap<Id, Open> {
        let known: BTreeMap<Id, Place> =
            match self.position.take().as_deref().map(serde_json::from_slice::<Vec<(Id, Place)>>) {
                None => BTreeMap::new(),
                Some(Ok(known)) => known.into_iter().collect(),
                Some(Err(error)) => {
                    self.intake.say(&format!("its position cannot be read and is left aside: {error}"));
                    BTreeMap::new()
                }
            };
        known.into_iter().map(|(id, place)| (id, Open { place, ..Open::default() })).collect()
    }

    /// Looks at what was found under the pattern.
    fn meet(&self, files: &mut BTreeMap<Id, Open>, found: Vec<PathBuf>) {
        let mut here = Vec::new();
        for path in found {
            let Ok(about) = std::fs::metadata(&path) else { continue };
            if !about.is_file() {
                continue;
            }
            let id = id_of(&path, &about);
            here.push(id);
            let known = files.entry(id).or_default();
            known.gone = None;
            known.place.path = path;
        }
        here.sort_unstable();
        for (id, file) in files.iter_mut() {
            if here.binary_search(id).is_ok() || file.gone.is_some() {
                continue;
            }
            file.gone = Some(Instant::now());
            self.intake.rotated();
            if file.handle.is_none() {
                // It was renamed while nobody looked: it stands beside where it stood.
                if let Some(path) = find::moved(&file.place.path, *id) {
                    file.place.path = path;
                }
            }
        }
    }

    /// Reads what there is, a piece of each file in turn. Gives whether there was anything.
    fn read_all(&self, files: &mut BTreeMap<Id, Open>, follow: bool) -> Result<bool, Stopped> {
        let mut any = false;
        // In the order of names, so that what was rotated comes in a fixed order.
        let mut order: Vec<(PathBuf, Id)> = files.iter().map(|(id, file)| (file.place.path.clone(), *id)).collect();
        order.sort();
        for (_, id) in order {
            loop {
                if self.intake.stop().asked() {
                    return Err(Stopped);
                }
                let Some(file) = files.get_mut(&id) else { break };
                let Some(cut) = self.read(id, file, follow) else { break };
                any = true;
                let more = cut.more;
                let position = Some(position(files));
                let Cut { pieces, bytes, .. } = cut;
                let arrival = Arrival { pieces, bytes, position, id: None, done: None, room: None, at: Instant::now() };
                self.intake.hand_over(arrival)?;
                if !more {
                    break;
                }
            }
        }
        Ok(any)
    }

    /// The next whole lines of a file; none where there are none now.
    fn read(&self, id: Id, file: &mut Open, follow: bool) -> Option<Cut> {
        let Open { place, handle, gone, complained } = file;
        if handle.is_none() {
            let about = std::fs::metadata(&place.path).ok()?;
            if about.len() == place.offset && gone.is_none() {
                return None;
            }
            let opened = std::fs::File::open(&place.path);
            let opened = opened.and_then(|opened| Ok((id_of(&place.path, &opened.metadata()?), opened)));
            match opened {
                Ok((found, opened)) if found == id => *handle = Some(opened),
                Ok(_) => return None,
                Err(error) => {
                    if !std::mem::replace(complained, true) {
                        self.intake.say(&format!("`{}` cannot be read: {}", place.path.display(), error.kind()));
                    }
                    return None;
                }
            }
        }
        let handle = handle.as_ref()?;
        let size = handle.metadata().ok()?.len();
        if size < place.offset || (size > place.offset && !place.begin.holds(handle)) {
            self.intake.say(&format!(
                "`{}` was truncated or written anew, and is read from its beginning",
                place.path.display()
            ));
            self.intake.rotated();
            *place = Place { path: std::mem::take(&mut place.path), ..Place::default() };
        }
        if size == place.offset {
            return None;
        }
        // A last line without an end is whole where nobody writes it on.
        let last = !follow || gone.is_some_and(|since| since.elapsed() >= LINGER);
        let from = Read { offset: place.offset, line: place.line, skipping: place.skipping, size, last };
        match lines::cut(handle, &place.path, &from) {
            Ok(cut) => {
                if cut.next.offset == place.offset {
                    return None;
                }
                (place.offset, place.line, place.skipping) = (cut.next.offset, cut.next.line, cut.next.skipping);
                place.begin.grow(handle, place.offset);
                *complained = false;
                Some(cut)
            }
            Err(error) => {
                if !std::mem::replace(complained, true) {
                    self.intake.say(&format!("`{}` cannot be read on: {}", place.path.display(), error.kind()));
                }
                None
            }
        }
    }

    /// Lets go of what nothing more comes from.
    fn forget(&self, files: &mut BTreeMap<Id, Open>, follow: bool) {
        files.retain(|_, file| match file.gone {
            Some(since) => follow && since.elapsed() < LINGER + Duration::from_secs(1),
            None => true,
        });
        let open = files.values().filter(|file| file.handle.is_some()).count();
        if open > MOST_OPEN {
            files.values_mut().filter(|file| file.gone.is_none()).for_each(|file| file.handle = None);
        }
    }
}

fn position(files: &BTreeMap<Id, Open>) -> Vec<u8> {
    let places: Vec<(&Id, &Place)> = files.iter().map(|(id, file)| (id, &file.place)).collect();
    serde_json::to_vec(&places).unwrap_or_default()
}
