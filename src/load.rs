//! Finds `.trip` files, compiles them with the shipped content, and prints diagnostics.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tripline_base::{Diagnostic, Level, SourceMap, terminal};
use tripline_detect::{Compiler, DiskFiles, Local, Ruleset, packs};
use tripline_runtime::config::Rules;
use tripline_runtime::watch::HEALTH;

use crate::colour;

mod content {
    include!(concat!(env!("OUT_DIR"), "/content.rs"));
}

/// Where the rules stand over what a service tells of itself.
const OWN: &str = "rules/tripline/";

/// What files of rules end with, native and Sigma.
const RULES: &[&str] = &["trip", "yml", "yaml"];

/// The most files that are loaded at once.
const MOST_FILES: usize = 200_000;

/// Every `.trip` file in these files and folders, in order.
pub fn trip_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    files(paths, &["trip"])
}

/// Whether a file holds Sigma rules, by its name.
pub fn is_sigma(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yml" || e == "yaml")
}

/// Every Sigma file in these files and folders, in order.
pub fn sigma_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    files(paths, &["yml", "yaml"])
}

/// Every file with one of these endings in these files and folders, in order; a file that is named counts
/// whatever its ending.
pub fn files(paths: &[PathBuf], endings: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut out = Vec::new();
    for path in paths {
        if path.is_file() {
            out.push(path.clone());
        } else if path.is_dir() {
            walk(path, endings, &mut out)?;
        } else {
            return Err(format!("there is no file or folder `{}`", path.display()));
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

fn walk(folder: &Path, endings: &[&str], out: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("`{}` cannot be read: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("`{}` cannot be read: {error}", folder.display()))?;
        let path = entry.path();
        // Links are not followed into folders: a loop would never end.
        let kind = entry.file_type().map_err(|error| error.to_string())?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden {
            walk(&path, endings, out)?;
        } else if is_one(&path, endings) && path.is_file() {
            out.push(path);
        }
        if out.len() > MOST_FILES {
            return Err(format!("more than {MOST_FILES} files"));
        }
    }
    Ok(())
}

/// Whether a file has one of these endings, or is what says that a folder of rules is a pack.
fn is_one(path: &Path, endings: &[&str]) -> bool {
    let of_pack = endings == RULES && path.file_name().is_some_and(|name| name == packs::FILE);
    of_pack || path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending))
}

/// The files of rules, mappings and packs in these files and folders. A part of a pack that is named is of that pack: its
/// file is looked for in the folders above, up to `root` or the root of the repository.
pub fn rule_files(paths: &[PathBuf], root: Option<&Path>) -> Result<Vec<PathBuf>, String> {
    let mut all = files(paths, RULES)?;
    all.extend(paths.iter().filter_map(|path| pack_above(path, root)));
    all.sort();
    all.dedup();
    Ok(all)
}

/// The file of the pack that a file or folder is of. Without a root it is looked for where the rules stand, and nowhere else.
fn pack_above(path: &Path, root: Option<&Path>) -> Option<PathBuf> {
    let start = if path.is_file() { path.parent()? } else { path };
    let is_root = |folder: &Path| folder.join(".git").exists() || root.is_some_and(|root| root == folder);
    // What `..` leads to is not the folder that is written before it.
    let last = |folder: &Path| is_root(folder) || folder.file_name().is_none();
    let mut folders: Vec<&Path> = Vec::new();
    for folder in start.ancestors() {
        folders.push(folder);
        if last(folder) {
            break;
        }
    }
    if !folders.last().is_some_and(|folder| is_root(folder)) {
        folders.truncate(1);
    }
    folders.into_iter().map(|folder| folder.join(packs::FILE)).find(|file| file.is_file())
}

/// What Sigma rules are read with.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Sigma {
    /// A processing pipeline for Sigma rules; may be given several times
    #[arg(long = "pipeline", value_name = "FILE")]
    pub pipelines: Vec<PathBuf>,
    /// A taxonomy that adds to the shipped ones: sources, and what log sources of Sigma mean; may be given several times
    #[arg(long = "taxonomy", value_name = "FILE")]
    pub taxonomies: Vec<PathBuf>,
    /// Every rule looks at every event of the source `any`
    #[arg(skip)]
    pub any_source: bool,
}

impl Sigma {
    /// What a configuration reads Sigma rules with.
    pub fn of(rules: &Rules) -> Self {
        Sigma { pipelines: rules.pipelines.clone(), taxonomies: rules.taxonomies.clone(), any_source: false }
    }

    /// Prints what is wrong with the pipelines and taxonomies that were named. Without one of them the rules would
    /// mean something else, so nothing is run.
    pub fn usable(&self, ruleset: &Ruleset) -> Result<(), String> {
        let given: Vec<String> =
            self.pipelines.iter().chain(&self.taxonomies).map(|path| path.display().to_string()).collect();
        let wrong: Vec<Diagnostic> = ruleset
            .diagnostics
            .iter()
            .filter(|said| given.iter().any(|name| name == ruleset.sources.name(said.span().file)))
            .cloned()
            .collect();
        match say(&wrong, &ruleset.sources, false) {
            0 => Ok(()),
            _ => Err("a pipeline or taxonomy that was named cannot be used".into()),
        }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

/// Why a file that somebody named cannot be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("`{}` cannot be read: there is no such file", path.display()),
        _ => format!("`{}` cannot be read: {error}", path.display()),
    }
}

/// That there is no such rule among these.
pub fn no_rule<'n>(name: &str, names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let count = names.len();
    let hint = hint(name, names);
    format!("there is no rule `{name}` among {count} that are loaded here{hint}; `tripline packs --rules` lists them")
}

/// Compiles these files and folders (the shipped rules where none are named) with the shipped mappings;
/// a mapping of a source that the user maps gives way. The names of the user's files come second.
pub fn ruleset(paths: &[PathBuf]) -> Result<(Ruleset, Vec<String>), String> {
    ruleset_with(paths, &Sigma::default())
}

/// Like [`ruleset`], with pipelines and taxonomies of the user's.
pub fn ruleset_with(paths: &[PathBuf], sigma: &Sigma) -> Result<(Ruleset, Vec<String>), String> {
    let (compiler, own) = compiler(paths, sigma)?;
    Ok((compiler.compile(&DiskFiles, now()), own))
}

/// What [`ruleset_with`] compiles, taken in.
pub fn compiler(paths: &[PathBuf], sigma: &Sigma) -> Result<(Compiler, Vec<String>), String> {
    compiler_of(&rule_texts(paths)?, sigma)
}

/// The rules in these files and folders, the shipped ones where none are named: names and bytes.
pub fn rule_texts(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, String> {
    if paths.is_empty() { Ok(shipped(false).collect()) } else { texts_of(paths, None) }
}

/// The rules that a configuration names: those in its files and folders, the shipped ones where it names none, and shipped
/// packs that it names by themselves.
pub fn configured_texts(rules: &Rules) -> Result<Vec<(String, Vec<u8>)>, String> {
    if rules.paths.is_empty() {
        return rule_texts(&[]);
    }
    let mut texts = texts_of(&rules.paths, Some(&rules.folder))?;
    beside(&mut texts, &rules.local);
    Ok(texts)
}

/// Takes in shipped packs that are named by themselves, where the user has none of that name.
fn beside(texts: &mut Vec<(String, Vec<u8>)>, local: &Local) {
    let files = texts.iter().filter(|(name, _)| packs::is_pack_file(name));
    let own: Vec<String> = files.filter_map(|(_, bytes)| packs::name_in(std::str::from_utf8(bytes).ok()?)).collect();
    for (file, text) in content::RULES.iter().filter(|(name, _)| packs::is_pack_file(name)) {
        let folder = file.trim_end_matches(packs::FILE);
        let wanted = packs::name_in(text).is_some_and(|name| local.wants(&name) && !own.contains(&name));
        // Those over what a service tells of itself come by themselves.
        if !wanted || folder == OWN {
            continue;
        }
        let of_pack = content::RULES.iter().filter(|(file, _)| file.starts_with(folder));
        texts.extend(of_pack.map(|(file, text)| ((*file).to_string(), text.as_bytes().to_vec())));
    }
}

/// What a service judges by: the rules that its configuration names, and those over what the service tells of itself,
/// unless the user has rules over that.
pub fn service_texts(rules: &Rules) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut texts = configured_texts(rules)?;
    watched(&mut texts);
    Ok(texts)
}

/// Takes in the shipped rules over what a service tells of itself, unless there are rules over that. Their pack comes first:
/// where one of the user's takes its name, that one is wrong. Gives whether they came.
pub fn watched(texts: &mut Vec<(String, Vec<u8>)>) -> bool {
    let reads = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| text.contains(HEALTH));
    let none = !texts.iter().any(|(_, bytes)| reads(bytes));
    if none {
        let (pack, rules): (Vec<_>, Vec<_>) = shipped(true).partition(|(name, _)| packs::is_pack_file(name));
        texts.splice(0..0, pack);
        texts.extend(rules);
    }
    none
}

/// Whether a file is one of the shipped rules over what a service tells of itself.
pub fn is_watched(name: &str) -> bool {
    name.starts_with(OWN)
}

/// The shipped rules: those over logs, or those over what a service tells of itself.
fn shipped(own: bool) -> impl Iterator<Item = (String, Vec<u8>)> {
    let of = content::RULES.iter().filter(move |(name, _)| name.starts_with(OWN) == own);
    of.map(|(name, text)| ((*name).to_string(), text.as_bytes().to_vec()))
}

/// The text of a fixture that the `.trip` file `beside` names. Those of shipped rules are built in.
pub fn fixture(beside: &str, name: &str) -> Result<String, String> {
    let shipped = || {
        let is_shipped = content::RULES.iter().any(|(rule, _)| *rule == beside);
        content::FIXTURES.iter().find(|(known, _)| is_shipped && *known == name).map(|(_, text)| (*text).to_string())
    };
    DiskFiles.fixture(beside, name).or_else(|why| shipped().ok_or(why))
}

/// The rules in these files and folders, and the packs that they are of: names and bytes.
pub fn texts_of(paths: &[PathBuf], root: Option<&Path>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let files = rule_files(paths, root)?;
    files.iter().map(|path| Ok((path.display().to_string(), bytes(path)?))).collect()
}

/// Texts taken in, with the shipped mappings. The names of what is the user's come second.
pub fn compiler_of(texts: &[(String, Vec<u8>)], sigma: &Sigma) -> Result<(Compiler, Vec<String>), String> {
    let mut compiler = Compiler::new();
    if sigma.any_source {
        compiler.any_source();
    }
    for (name, text) in content::TAXONOMY {
        compiler.add_taxonomy(name, text.as_bytes());
    }
    let mut own = Vec::new();
    for path in &sigma.taxonomies {
        own.push(path.display().to_string());
        compiler.add_taxonomy(&path.display().to_string(), &bytes(path)?);
    }
    for path in &sigma.pipelines {
        own.push(path.display().to_string());
        compiler.add_pipeline(&path.display().to_string(), &bytes(path)?);
    }
    let (of_sigma, native): (Vec<_>, Vec<_>) = texts.iter().partition(|(name, _)| is_sigma(Path::new(name)));
    for (name, bytes) in of_sigma {
        compiler.add_sigma(name, bytes);
        own.push(name.clone());
    }
    for (name, bytes) in &native {
        compiler.add_bytes(name, bytes);
        own.push(name.clone());
    }
    let given: BTreeSet<Said<'_>> =
        native.iter().filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok()).flat_map(said_by).collect();
    for (name, text) in content::MAPPINGS {
        // What is given is meant in the place of what is shipped: a mapping of the same source, or, of a file that only
        // defines what mappings share, all of its definitions.
        let mut maps = said_by(text).filter(|said| matches!(said, Said::Maps(_))).peekable();
        let again = match maps.peek() {
            Some(_) => maps.any(|said| given.contains(&said)),
            None => said_by(text).all(|said| given.contains(&said)),
        };
        if !again {
            compiler.add(name, text);
        }
    }
    Ok((compiler, own))
}

/// What a line of a text begins.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Said<'t> {
    /// A mapping from this source.
    Maps(&'t str),
    /// A definition, a list or a table of this name.
    Defines(&'t str),
}

/// The sources that a text's mappings read, and the names that it defines.
fn said_by(text: &str) -> impl Iterator<Item = Said<'_>> {
    text.lines().filter_map(|line| {
        let line = line.trim_start_matches('\u{feff}');
        if let Some(mapping) = line.strip_prefix("mapping ") {
            let mut words = mapping.split_whitespace();
            words.next()?;
            return (words.next()? == "from").then(|| Said::Maps(words.next().unwrap_or("").trim_end_matches('{')));
        }
        let defined = ["def ", "list ", "table "].into_iter().find_map(|word| line.strip_prefix(word))?;
        let end = defined.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(defined.len());
        defined.get(..end).map(Said::Defines)
    })
}

/// Nanoseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The revision of the repository that files are in, as its metadata says: twelve digits. None where they are in none.
/// The shipped rules have the version of the program.
pub fn revision(paths: &[PathBuf]) -> Option<String> {
    let Some(first) = paths.first() else { return Some(concat!("tripline ", env!("CARGO_PKG_VERSION")).to_string()) };
    let place = first.canonicalize().ok()?;
    let git = place.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    let git = match std::fs::read_to_string(&git) {
        // A worktree's `.git` is a file that names a folder.
        Ok(text) => git.parent()?.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => git,
    };
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let head = read(git.join("HEAD"))?;
    let common = read(git.join("commondir")).map_or_else(|| git.clone(), |common| git.join(common.trim()));
    let found = match head.trim().strip_prefix("ref:") {
        None => head.trim().to_string(),
        Some(name) => read(common.join(name.trim())).or_else(|| {
            let packed = read(common.join("packed-refs"))?;
            let line = packed.lines().find_map(|line| line.strip_suffix(name.trim()))?;
            Some(line.to_string())
        })?,
    };
    let digits = found.trim().get(..12)?;
    digits.chars().all(|c| c.is_ascii_hexdigit()).then(|| digits.to_string())
}

/// Prints errors (and, where wanted, the rest) to standard error; gives how many errors there were.
pub fn say(diagnostics: &[Diagnostic], sources: &SourceMap, all: bool) -> usize {
    let mut errors = 0;
    for diagnostic in diagnostics {
        let error = diagnostic.level() == tripline_base::Level::Error;
        errors += usize::from(error);
        if error || all {
            eprintln!("{}", terminal::render(diagnostic, sources, colour::stderr()));
        }
    }
    errors
}

/// Whether an exception that a configuration has for a rule is wrong, or what makes a folder a pack, which was said with
/// the rules. Without either, rules would be told that the configuration has in shadow or off.
pub fn of_configuration(ruleset: &Ruleset, rules: &Rules) -> bool {
    let errors = ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error);
    let mut files = errors.map(|said| ruleset.sources.name(said.span().file));
    files.any(|name| name == rules.local.name || packs::is_pack_file(name))
}

/// `; did you mean …?`, or nothing.
pub fn hint<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    tripline_base::did_you_mean(word, names).map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// The names of a ruleset's sources for a message.
pub fn sources(ruleset: &Ruleset) -> String {
    some(&ruleset.source_names())
}

/// Names for a message: the first of them, where there are many.
pub fn some(names: &[&str]) -> String {
    const MOST: usize = 12;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_rule_has_what_can_stand_in_for_a_canary() {
        let texts: Vec<(String, Vec<u8>)> = shipped(false).chain(shipped(true)).collect();
        let ruleset = compiler_of(&texts, &Sigma::default()).unwrap().0.compile(&DiskFiles, 0);
        let rules = &ruleset.program.rules;
        let without: Vec<&str> = rules
            .iter()
            .filter(|rule| tripline_detect::canary::of(rule, true).is_none())
            .map(|rule| rule.name.as_str())
            .collect();
        assert!(rules.len() > 100 && without.is_empty(), "{without:?}");
    }

    #[test]
    fn definitions_of_shipped_mappings_that_are_given_again_are_not_taken_twice() {
        let file = |name: &str| (name.to_string(), std::fs::read(name).unwrap());
        let of = |texts: &[(String, Vec<u8>)]| {
            let (compiler, _) = compiler_of(texts, &Sigma::default()).unwrap();
            compiler
                .compile(&tripline_semantic::NoFiles, 0)
                .diagnostics
                .iter()
                .filter(|d| d.level() == Level::Error)
                .count()
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[file("connectors/mappings/networks.trip"), file("connectors/mappings/zeek.trip")]), 0);
        assert_eq!(of(&[("one.trip".into(), b"list internal_networks: cidr = []".to_vec())]), 1, "the name is taken");
    }
}
