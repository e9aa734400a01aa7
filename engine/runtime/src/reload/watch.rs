//! Being told by the system that files may have changed, so that they are looked at soon.
//!
//! What is told is a hint: whether anything changed is seen by looking, so that a hint too many does no harm. Folders
//! are watched and not files, as most programs write a file anew and rename it; and so is every folder that a name
//! leads through, as links and folders are exchanged as well.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How many folders are watched at most.
const MOST_FOLDERS: usize = 4_096;
/// How many links a name may lead through.
const MOST_LINKS: usize = 40;
/// File systems on which others write without this system knowing.
const REMOTE: [&str; 16] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "gfs2",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "virtiofs",
];

/// What there is to be watched at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct There {
    /// Every name that leads to a file or a folder.
    names: BTreeSet<PathBuf>,
    /// Folders of which all that is in them counts.
    whole: BTreeSet<PathBuf>,
}

impl There {
    fn find(files: &[PathBuf], folders: &[PathBuf]) -> Result<Self, String> {
        let mut there = There { names: BTreeSet::new(), whole: BTreeSet::new() };
        files.iter().chain(folders).for_each(|path| trail(path, &mut there.names));
        for folder in folders.iter().filter_map(|folder| folder.canonicalize().ok()) {
            within(folder, &mut there.whole)?;
        }
        Ok(there)
    }
}

/// Files and folders that are watched, until it is dropped.
pub(super) struct Watch {
    told: Arc<AtomicBool>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches files, and folders with all that are in them.
    ///
    /// # Errors
    /// Why the system would not tell.
    pub fn begin(files: &[PathBuf], folders: &[PathBuf]) -> Result<Self, String> {
        let there = There::find(files, folders)?;
        let watch = Watch::over(&there)?;
        // A folder that was made between the look at the one above and its watch is told by nobody, nor is what is
        // written there later. It is another hint: with it everything is watched anew.
        if There::find(files, folders)? != there {
            watch.told.store(true, Ordering::SeqCst);
        }
        Ok(watch)
    }

    /// Watches what was found.
    fn over(there: &There) -> Result<Self, String> {
        let There { names, whole } = there.clone();
        let parents = names.iter().filter_map(|name| name.parent());
        let mut watched: BTreeSet<PathBuf> = parents.filter(|folder| folder.is_dir()).map(Path::to_path_buf).collect();
        watched.extend(whole.iter().cloned());
        if let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo")
            && let Some((folder, kind)) = watched.iter().find_map(|folder| Some((folder, remote(&mounts, folder)?)))
        {
            return Err(format!("`{}` is on a file system of kind {kind}, which others may write", folder.display()));
        }
        let told = Arc::new(AtomicBool::new(false));
        let telling = Arc::clone(&told);
        // Where a file itself is to be watched for its content, its folder tells of its name alone.
        #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
        watched.extend(names.iter().filter(|name| name.is_file()).cloned());
        let holds: BTreeSet<PathBuf> = names
            .iter()
            .filter(|name| name.is_file())
            .filter_map(|name| Some(name.parent()?.to_path_buf()))
            .chain(whole.iter().cloned())
            .collect();
        let handler = move |event: notify::Result<Event>| {
            // Where something went wrong, something may have been missed.
            if event.is_ok_and(|event| !counts(&event, &names, &whole)) {
                return;
            }
            telling.store(true, Ordering::SeqCst);
        };
        let mut watcher = notify::recommended_watcher(handler).map_err(|error| why(&error))?;
        for folder in &watched {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // It went away meanwhile, of which the folder above tells.
                Err(_) if !folder.exists() => {}
                // A folder further up may be closed to the service. Should it be exchanged, that is seen by looking.
                Err(_) if !holds.contains(folder) => {}
                Err(error) => return Err(format!("`{}` cannot be watched: {}", folder.display(), why(&error))),
            }
        }
        Ok(Watch { told, _watcher: watcher })
    }

    /// Whether anything may have changed since this was last asked.
    pub fn told(&self) -> bool {
        self.told.swap(false, Ordering::SeqCst)
    }
}

fn why(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the system watches as many files as it may".into(),
        notify::ErrorKind::Io(error) => error.to_string(),
        notify::ErrorKind::Generic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Whether what happened is of interest: it happened to a name that leads to a file, or to what is in a folder of rules.
fn counts(event: &Event, names: &BTreeSet<PathBuf>, whole: &BTreeSet<PathBuf>) -> bool {
    let (named, within) = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => (true, false),
        EventKind::Access(_) => (false, false),
        // What is written to a file counts where the file does; other programs may write theirs here.
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => (true, false),
        _ => (true, true),
    };
    let counts = |path: &PathBuf| {
        named && names.contains(path) || within && path.parent().is_some_and(|folder| whole.contains(folder))
    };
    event.need_rescan() || event.paths.iter().any(counts)
}

/// Every name that has a say in what a path leads to: its folders, links, and what these lead to. None of the names
/// has a link above it.
fn trail(path: &Path, names: &mut BTreeSet<PathBuf>) {
    let Ok(path) = std::path::absolute(path) else { return };
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_os_string()).collect::<Vec<_>>();
    let mut rest: VecDeque<OsString> = parts(&path).into();
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::Normal(_)) => {}
            Some(Component::CurDir) | None => continue,
            // The beginning of a path.
            Some(Component::RootDir | Component::Prefix(_)) => {
                at.push(&part);
                continue;
            }
        }
        let name = at.join(&part);
        match std::fs::read_link(&name) {
            Ok(to) if links < MOST_LINKS => {
                links += 1;
                for part in parts(&to).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            _ => at = name.clone(),
        }
        names.insert(name);
    }
}

/// A folder and those in it. Links are not followed and hidden ones passed over, as where rules are read.
fn within(folder: PathBuf, out: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    let mut rest = vec![folder];
    while let Some(folder) = rest.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                rest.push(entry.path());
            }
        }
        out.insert(folder);
        if out.len() + rest.len() > MOST_FOLDERS {
            return Err(format!("there are more than {MOST_FOLDERS} folders"));
        }
    }
    Ok(())
}

/// The kind of the file system that a folder is on, where others may write it; `mounts` is Linux's list of all.
fn remote<'m>(mounts: &'m str, folder: &Path) -> Option<&'m str> {
    let mount = |line: &'m str| {
        let (about, kind) = line.split_once(" - ")?;
        // Spaces in names are written in octal; such a mount is taken for its first part.
        let at = about.split(' ').nth(4)?.split('\\').next()?;
        folder.starts_with(at).then(|| (at.len(), kind.split(' ').next().unwrap_or_default()))
    };
    let (_, kind) = mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length)?;
    REMOTE.contains(&kind).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_others_are_known() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      40 22 0:37 / /srv/rules rw,relatime shared:20 - nfs4 host:/rules rw,vers=4.2\n\
                      41 40 0:38 / /srv/rules/own rw shared:21 - tmpfs tmpfs rw\n";
        assert_eq!(remote(mounts, Path::new("/srv/rules/okta")), Some("nfs4"));
        assert_eq!(remote(mounts, Path::new("/srv/rules/own")), None);
        assert_eq!(remote(mounts, Path::new("/srv/rules2")), None);
        assert_eq!(remote("", Path::new("/srv")), None);
    }

    /// Files that were written there later went unnoticed for as long as nobody looked.
    #[test]
    fn a_folder_that_is_made_while_its_watch_begins_is_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let folders = [root.clone()];
        assert!(!Watch::begin(&[], &folders).unwrap().told(), "nothing is new");
        let before = There::find(&[], &folders).unwrap();
        std::fs::create_dir(root.join("deep")).unwrap();
        // As if it had been made between the two.
        assert_ne!(There::find(&[], &folders).unwrap(), before);
        let watch = Watch::over(&before).unwrap();
        std::fs::write(root.join("deep/a.trip"), "").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!watch.told(), "which is why it has to be looked for again");
    }

    #[cfg(unix)]
    #[test]
    fn a_trail_has_every_link_and_what_it_leads_through() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("v1")).unwrap();
        std::fs::write(root.join("v1/a.trip"), "").unwrap();
        std::os::unix::fs::symlink("v1", root.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.trip", root.join("a.trip")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let mut names = BTreeSet::new();
        trail(&root.join("a.trip"), &mut names);
        for name in ["a.trip", "..data", "v1", "v1/a.trip"] {
            assert!(names.contains(&root.join(name)), "{name} {names:?}");
        }
        assert!(!names.contains(&root.join("..data/a.trip")));
        trail(&root.join("loop/there"), &mut names);
        assert!(names.contains(&root.join("loop")));
    }
}
