//! Files of lines, read from where the last commit left them, and on as they grow. Lines that what follows depends on
//! (a header, the first records of an event) are kept with the position. A file that is compressed, or an event log of
//! Windows, is read as a whole once nobody writes it any more; how many of its records were handed out is its position.
//!
//! A file is known by its device, its number, its first bytes and those that were read last, not by its name: renaming it
//! loses nothing and doubles nothing. One that is shorter than what was read of it, or has other bytes there, was
//! truncated and is read from its beginning; that is looked at whenever its time has changed. One that is no longer found
//! under the pattern is read to its end, looked at for a while longer, and let go; how far it was read is remembered for
//! days, as a volume may come back.

mod config;
mod find;
mod identity;
mod lines;
mod place;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tripline_connect::clock;
use tripline_connect::source::{Arrival, Intake, Source, Stopped};

use tripline_formats::{Decoder, Format, Layout, recognise};

use config::Files;
pub(crate) use config::KIND;
use identity::{Id, id_of};
use lines::{Cut, Read};
use place::{Place, Position};
use whole::Whole;

/// How long a file that was renamed or deleted is looked at: who writes it may not know yet.
const LINGER: Duration = Duration::from_secs(60);
/// How long it is remembered how far a file was read that is gone, in seconds.
const REMEMBERED: i64 = 7 * 24 * 60 * 60;
/// How many files a source has at most, and how many that are gone it remembers besides.
const MOST_FILES: usize = 10_000;
/// How many bytes tell what the lines of a file are.
const HEAD: usize = 64 << 10;
/// How long nobody has written a file that is read as a whole, or whose time tells of the next change.
const SETTLED: Duration = Duration::from_secs(2);

/// For how long a file that was written between two looks counts as one that grows.
const GROWS: Duration = Duration::from_secs(10);

/// A file that is read.
#[derive(Default)]
struct Open {
    place: Place,
    handle: Option<std::fs::File>,
    /// What its lines go through, where they are no JSON.
    decoder: Option<Decoder>,
    /// What is read of it as a whole.
    whole: Option<Whole>,
    /// Whether it was said that it cannot be read.
    complained: bool,
    /// When it had been written last as it was looked at last, in nanoseconds since 1970.
    modified: Option<i64>,
    /// When it was found to have been written since the look before.
    grew: Option<Instant>,
    /// Since when it is not found any more, while it is looked at all the same.
    lingers: Option<Instant>,
    /// Whether it was looked at whether it is what was read before.
    compared: bool,
    /// When something was read of it last.
    read: Option<Instant>,
    /// Whether nothing more comes of it, as it is gone and was read to its end.
    ended: bool,
}

impl Open {
    /// Whether somebody writes it.
    fn grows(&self) -> bool {
        self.lingers.is_none() && self.grew.is_some_and(|at| at.elapsed() < GROWS)
    }
}

/// What is known while files are read in turn.
struct Turn {
    /// How many files are held open that are still found.
    open: usize,
    /// Whether a file is being unpacked. That takes memory: one at a time.
    unpacking: bool,
    /// Whether anything was read.
    any: bool,
}

/// What came of a look at a file.
#[derive(PartialEq)]
enum Came {
    /// Nothing; it may wait for another file to be unpacked.
    Nothing,
    Waits,
    /// A piece, after which there may be more at once.
    Piece {
        more: bool,
    },
}

/// Reads files until the service stops, or until their ends where they are not followed.
struct Reader {
    config: Files,
    folder: PathBuf,
    once: bool,
    /// How long a file that is gone is looked at.
    linger: Duration,
    /// How many files are held open, and half as many of those that are gone.
    most_open: usize,
    position: Option<Vec<u8>>,
    /// The rows of places, as they were committed.
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files whose rows change with the next arrival.
    changed: BTreeSet<Id>,
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
            let looked = Instant::now();
            self.meet(&mut files, found);
            let Ok(progress) = self.read_all(&mut files, follow, looked) else { return };
            self.forget(&mut files);
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
    /// The files that a position and its rows name.
    fn taken_up(&mut self) -> BTreeMap<Id, Open> {
        let mut known: BTreeMap<Id, Place> = BTreeMap::new();
        let position = self.position.take();
        let read = match position.as_deref() {
            None => Ok(Position::default()),
            Some(position) => serde_json::from_slice(position),
        };
        match read {
            Ok(Position::Rows {}) => {}
            Ok(Position::Former(places)) => {
                self.changed = places.iter().map(|(id, _)| *id).collect();
                known.extend(places);
            }
            Err(error) => self.intake.say(&format!("its position cannot be read and is left aside: {error}")),
        }
        for row in std::mem::take(&mut self.rows) {
            match place::of_row(&row) {
                Some((id, place)) => drop(known.insert(id, place)),
                None => self.intake.say("how far a file was read cannot be read and is left aside"),
            }
        }
        let now = seconds();
        let open = |mut place: Place| {
            // Where it would still be looked at, it is missed anew.
            place.gone = place.gone.filter(|since| now.saturating_sub(*since) >= self.linger.as_secs().cast_signed());
            Open { place, ..Open::default() }
        };
        known.into_iter().map(|(id, place)| (id, open(place))).collect()
    }

    /// Looks at what was found under the pattern.
    fn meet(&mut self, files: &mut BTreeMap<Id, Open>, found: Vec<PathBuf>) {
        let mut here = Vec::new();
        let mut open = held(files);
        for path in found {
            let Ok(about) = std::fs::metadata(&path) else { continue };
            if !about.is_file() {
                continue;
            }
            let id = id_of(&path, &about);
            here.push(id);
            let known = files.entry(id).or_insert_with(|| {
                // It is opened as it is found: it may be gone before its turn.
                let handle = (open < self.most_open).then(|| identity::open(&path, id).ok().flatten()).flatten();
                open += usize::from(handle.is_some());
                Open { handle, ..Open::default() }
            });
            if known.place.begun() && (known.place.gone.is_some() || known.place.path != path) {
                self.changed.insert(id);
            }
            (known.place.gone, known.lingers, known.ended) = (None, None, false);
            known.place.path = path;
            let modified = nanos(about.modified().ok());
            if known.modified.is_some() && known.modified != modified {
                known.grew = Some(Instant::now());
            }
            known.modified = modified;
        }
        here.sort_unstable();
        for (id, file) in files.iter_mut() {
            if here.binary_search(id).is_ok() || file.place.gone.is_some() {
                continue;
            }
            (file.place.gone, file.lingers) = (Some(seconds()), Some(Instant::now()));
            self.changed.insert(*id);
            self.intake.rotated();
            if file.handle.is_none() {
                // It was renamed while nobody looked: it stands beside where it stood.
                if let Some(path) = find::moved(&file.place.path, *id) {
                    file.place.path = path;
                }
            }
        }
    }

    /// Reads what there is, until files are to be looked for again. Files that nobody writes come first, each to its end,
    /// and the one that was written longest ago before the others: so logs of the past come in their order. Of those that
    /// grow a piece each in turn, as they belong together. Gives whether there was anything.
    fn read_all(&mut self, files: &mut BTreeMap<Id, Open>, follow: bool, looked: Instant) -> Result<bool, Stopped> {
        let mut turn =
            Turn { open: held(files), unpacking: files.values().any(|file| file.whole.is_some()), any: false };
        let looked_at = files.iter().filter(|(_, file)| file.place.gone.is_none() || file.lingers.is_some());
        let mut order: Vec<(bool, Option<i64>, PathBuf, Id)> = looked_at
            .map(|(id, file)| {
                let grows = file.grows();
                (grows, file.modified.filter(|_| !grows), file.place.path.clone(), *id)
            })
            .collect();
        order.sort();
        let (growing, still): (Vec<_>, Vec<_>) = order.into_iter().partition(|(grows, ..)| *grows);
        for (.., id) in still {
            while self.look(files, id, follow, &mut turn)? == (Came::Piece { more: true }) {
                if looked.elapsed() >= self.config.poll {
                    return Ok(true);
                }
            }
        }
        let mut order: Vec<Id> = growing.into_iter().map(|(.., id)| id).collect();
        while !order.is_empty() {
            let (mut unread, mut read) = (Vec::new(), false);
            for id in order {
                let came = self.look(files, id, follow, &mut turn)?;
                read |= matches!(came, Came::Piece { .. });
                if matches!(came, Came::Waits | Came::Piece { more: true }) {
                    unread.push(id);
                }
            }
            // However much is behind in one file: others may come and go meanwhile.
            if !read || looked.elapsed() >= self.config.poll {
                break;
            }
            order = unread;
        }
        Ok(turn.any)
    }

    /// Reads a piece of a file, and hands it over.
    fn look(&mut self, files: &mut BTreeMap<Id, Open>, id: Id, follow: bool, turn: &mut Turn) -> Result<Came, Stopped> {
        if self.intake.stop().asked() {
            return Err(Stopped);
        }
        let Some(file) = files.get_mut(&id) else { return Ok(Came::Nothing) };
        // A last line without an end is whole where nobody writes it on.
        let last = !follow || file.lingers.is_some_and(|since| since.elapsed() >= self.linger);
        let before = (file.handle.is_some(), file.whole.is_some());
        let cut = self.read(id, file, follow, last, !turn.unpacking);
        let after = (file.handle.is_some(), file.whole.is_some());
        if before.1 || after.1 {
            turn.unpacking = after.1;
        }
        file.ended = last && file.lingers.is_some() && !cut.as_ref().is_some_and(|cut| cut.more);
        if after.0 && file.lingers.is_none() {
            turn.open += usize::from(!before.0);
            file.read = cut.is_some().then(Instant::now).or(file.read);
        }
        if turn.open > self.most_open {
            close_one(files);
            turn.open -= 1;
        }
        let Some(Cut { pieces, bytes, more, .. }) = cut else { return Ok(Came::Nothing) };
        if more && bytes == 0 && pieces.is_empty() {
            return Ok(Came::Waits);
        }
        turn.any = true;
        self.changed.insert(id);
        let row = |id: Id| (place::key(id), files.get(&id).and_then(|file| file.place.row()));
        let rows = std::mem::take(&mut self.changed).into_iter().map(row).collect();
        let position = serde_json::to_vec(&Position::default()).ok();
        self.intake.hand_over(Arrival { position, rows, ..Arrival::of(pieces, bytes, Instant::now()) })?;
        Ok(Came::Piece { more })
    }

    /// The next whole lines of a file; none where there are none now.
    fn read(&self, id: Id, file: &mut Open, follow: bool, last: bool, unpack: bool) -> Option<Cut> {
        let Open { place, handle, decoder, whole, complained, lingers, compared, .. } = file;
        if handle.is_none() {
            let about = std::fs::metadata(&place.path).ok()?;
            // Who reads to the end lets go of what waited for more.
            let same = about.len() == place.offset && nanos(about.modified().ok()) == place.changed;
            if same && lingers.is_none() && (follow || place.kept.is_empty()) {
                return None;
            }
            match identity::open(&place.path, id) {
                Ok(Some(opened)) => *handle = Some(opened),
                Ok(None) => return None,
                Err(error) => {
                    complain(&self.intake, complained, place, &error);
                    return None;
                }
            }
        }
        let handle = handle.as_ref()?;
        let about = handle.metadata().ok()?;
        let (size, near) = (about.len(), nanos(about.modified().ok()));
        if !*compared || size < place.offset || near != place.changed {
            match place.holds(handle, size) {
                Ok(true) => {}
                Ok(false) => {
                    self.intake.say(&format!(
                        "`{}` was truncated or written anew, and is read from its beginning",
                        place.path.display()
                    ));
                    self.intake.rotated();
                    *place = Place { path: std::mem::take(&mut place.path), ..Place::default() };
                    (*decoder, *whole) = (None, None);
                }
                Err(error) => {
                    complain(&self.intake, complained, place, &error);
                    // Others may be unpacked meanwhile.
                    *whole = None;
                    return None;
                }
            }
            // What was written a moment ago may be written again without another time.
            place.changed = near.filter(|_| settled(&about));
            *compared = true;
        }
        if size == place.offset && (!last || place.kept.is_empty()) {
            return None;
        }
        if place.records.is_some() || place.offset == 0 && identity::is_whole(handle) {
            if whole.is_none() && !unpack {
                // It waits for its turn.
                return Some(Cut { pieces: Vec::new(), bytes: 0, next: Read::default(), more: true });
            }
            return self.read_whole(id, place, whole, complained, (handle, size, follow));
        }
        let from = Read { offset: place.offset, line: place.line, skipping: place.skipping, size, last };
        match lines::padding(handle, &from) {
            Ok(Some(0)) => {}
            Ok(padding) => {
                place.offset += padding?;
                place.keep(handle);
                return Some(Cut { pieces: Vec::new(), bytes: padding?, next: Read::default(), more: true });
            }
            Err(error) => {
                complain(&self.intake, complained, place, &error);
                return None;
            }
        }
        if decoder.is_none() {
            let format = self.format(place, handle, last)?;
            let layout = Layout { format, near, ..self.config.layout.clone() };
            *decoder = Decoder::resume(&layout, &place.kept, place.line);
        }
        if let (Some(decoder), Some(near)) = (decoder.as_mut(), near) {
            decoder.written_near(near);
        }
        match lines::cut(handle, &place.path, &from, decoder.as_mut()) {
            Ok(cut) => {
                let said = cut.pieces.iter().any(|(_, batch)| !batch.is_empty());
                place.kept = decoder.as_ref().map(Decoder::kept).unwrap_or_default();
                if cut.next.offset == place.offset && !said {
                    return None;
                }
                (place.offset, place.line, place.skipping) = (cut.next.offset, cut.next.line, cut.next.skipping);
                place.keep(handle);
                *complained = false;
                Some(cut)
            }
            Err(error) => {
                complain(&self.intake, complained, place, &error);
                None
            }
        }
    }

    /// What the lines of a file are; none where it has no whole line yet that would tell.
    fn format(&self, place: &mut Place, handle: &std::fs::File, last: bool) -> Option<Format> {
        if self.config.layout.format != Format::Auto {
            return Some(self.config.layout.format);
        }
        if let Some(Ok(known)) = place.format.as_deref().map(str::parse::<Format>) {
            return Some(known);
        }
        let head = identity::bytes(handle, place.offset, HEAD).ok()?;
        let lines = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let head = if last || head.len() == HEAD { head.as_slice() } else { head.get(..lines)? };
        if head.is_empty() {
            return None;
        }
        let found = recognise(head, true)?;
        place.format = Some(found.name().to_string());
        Some(found)
    }

    /// The next records of a file that is read as a whole; none where it ended, or is still written.
    fn read_whole(
        &self,
        id: Id,
        place: &mut Place,
        whole: &mut Option<Whole>,
        complained: &mut bool,
        (handle, size, follow): (&std::fs::File, u64, bool),
    ) -> Option<Cut> {
        if whole.is_none() {
            if follow && !settled(&handle.metadata().ok()?) {
                return None;
            }
            place.begin.grow(handle, size);
            match Whole::open(&place.path, id, &self.config.layout, place.records.unwrap_or(0)) {
                Ok(opened) => *whole = opened,
                Err(error) => return self.ended_badly(place, complained, (handle, size), &error),
            }
        }
        let opened = whole.as_mut()?;
        match opened.next(&place.path) {
            Ok(cut) => {
                place.records = Some(opened.records());
                if !cut.more {
                    (place.offset, *whole, *complained) = (size, None, false);
                    place.keep(handle);
                }
                Some(cut)
            }
            Err(error) => {
                place.records = Some(opened.records());
                *whole = None;
                self.ended_badly(place, complained, (handle, size), &error)
            }
        }
    }

    /// Says that a file cannot be read to its end. It is not looked at again before it changes.
    fn ended_badly(
        &self,
        place: &mut Place,
        complained: &mut bool,
        (handle, size): (&std::fs::File, u64),
        error: &std::io::Error,
    ) -> Option<Cut> {
        if !std::mem::replace(complained, true) {
            self.intake.say(&format!("`{}` was read only in part: {error}", place.path.display()));
        }
        place.offset = size;
        place.keep(handle);
        Some(Cut { pieces: Vec::new(), bytes: 0, next: Read::default(), more: false })
    }

    /// Lets go of what nothing more comes from. How far it was read is remembered for a while.
    fn forget(&mut self, files: &mut BTreeMap<Id, Open>) {
        let let_go = |file: &Open| file.place.gone.filter(|_| file.lingers.is_none());
        for file in files.values_mut().filter(|file| file.ended) {
            *file = Open { place: std::mem::take(&mut file.place), ..Open::default() };
        }
        let remembered: Vec<Id> = files.iter().filter(|(_, file)| let_go(file).is_some()).map(|(id, _)| *id).collect();
        let now = seconds();
        let old = |since: i64| now.saturating_sub(since) >= REMEMBERED;
        files.retain(|_, file| let_go(file).is_none_or(|since| !old(since) && file.place.begun()));
        let mut gone: Vec<(i64, Id)> = files.iter().filter_map(|(id, file)| Some((let_go(file)?, *id))).collect();
        gone.sort_unstable();
        for (_, id) in gone.iter().rev().skip(MOST_FILES) {
            files.remove(id);
        }
        self.changed.extend(remembered.into_iter().filter(|id| !files.contains_key(id)));
        // Of those that are gone, the ones that went last are most likely to be written still.
        let open = files.values().filter(|file| file.handle.is_some() && file.lingers.is_some());
        let mut lingering: Vec<Instant> = open.filter_map(|file| file.lingers).collect();
        if let Some(over) = lingering.len().checked_sub(self.most_open / 2).filter(|over| *over > 0) {
            let (_, last, _) = lingering.select_nth_unstable(over - 1);
            let last = *last;
            files
                .values_mut()
                .filter(|file| file.lingers.is_some_and(|since| since <= last))
                .for_each(|file| file.handle = None);
        }
    }
}

/// Whether nobody has written a file for a while.
fn settled(about: &std::fs::Metadata) -> bool {
    let age = about.modified().ok().and_then(|changed| changed.elapsed().ok());
    age.is_none_or(|age| age >= SETTLED)
}

/// Says once that a file cannot be read.
fn complain(intake: &Intake, complained: &mut bool, place: &Place, error: &std::io::Error) {
    if !std::mem::replace(complained, true) {
        intake.say(&format!("`{}` cannot be read: {}", place.path.display(), error.kind()));
    }
}

/// Seconds since 1970.
fn seconds() -> i64 {
    clock::now() / 1_000_000_000
}

/// How many files are held open that are still found.
fn held(files: &BTreeMap<Id, Open>) -> usize {
    files.values().filter(|file| file.handle.is_some() && file.lingers.is_none()).count()
}

/// Closes the file, of those that are still found, of which nothing was read for longest.
fn close_one(files: &mut BTreeMap<Id, Open>) {
    let open = files.values_mut().filter(|file| file.handle.is_some() && file.lingers.is_none());
    if let Some(file) = open.min_by_key(|file| file.read) {
        file.handle = None;
    }
}

/// Nanoseconds since 1970.
fn nanos(time: Option<std::time::SystemTime>) -> Option<i64> {
    i64::try_from(time?.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos()).ok()
}
