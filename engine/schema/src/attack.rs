//! ATT&CK, enterprise matrix: technique ids, names and tactics.
//!
//! The table (`data/attack.txt`, made by `data/generate.py`) joins release 19
//! with release 18.1: names are those of 19, tactics those of either, so that
//! a detection written against the older tactics is not called wrong. What 19
//! no longer lists is kept and marked retired, so that it can be told apart
//! from a mistyped id, with the technique that it goes on as where that is
//! known. Platforms are those of 18.1, since the list of 19 has none.
//!
//! A second table (`data/platforms.txt`) says which platforms the events of a
//! source tell about.

use std::sync::OnceLock;

/// The table which the crate ships.
const TABLE: &str = include_str!("../data/attack.txt");

/// Which source tells about which platforms.
const PLATFORMS: &str = include_str!("../data/platforms.txt");

/// The matrix. Get it from [`attack`].
#[derive(Debug)]
pub struct Attack {
    /// Sorted by id.
    techniques: &'static [Technique],
    /// Sorted by uid, then shortname.
    tactics: &'static [Tactic],
    /// First words of sources, with platforms.
    sources: Vec<(&'static str, Vec<&'static str>)>,
}

/// A technique or sub-technique.
#[derive(Debug)]
pub struct Technique {
    /// Such as `T1059` or, for a sub-technique, `T1059.001`.
    pub id: &'static str,
    /// The name alone; that of a sub-technique without its technique's.
    pub name: &'static str,
    /// Shortnames of the tactics it serves in release 19 or 18.1, those of 19
    /// first.
    pub tactics: Vec<&'static str>,
    /// Whether release 19 no longer has it: revoked, deprecated or merged.
    pub retired: bool,
    /// What a retired technique goes on as, where that is known.
    pub successor: Option<&'static str>,
    /// Where it is used: `Windows`, `IaaS` …; `PRE` for what happens before an
    /// intrusion. Empty where that is not known.
    pub platforms: Vec<&'static str>,
    /// How many of `tactics` are those of release 19.
    current: usize,
}

impl Technique {
    /// The tactics it serves in release 19; none for a retired technique.
    pub fn current_tactics(&self) -> &[&'static str] {
        self.tactics.get(..self.current).unwrap_or_default()
    }

    /// The id of the technique that a sub-technique is part of.
    pub fn parent(&self) -> Option<&'static str> {
        self.id.split_once('.').map(|(parent, _)| parent)
    }
}

/// A tactic: what a technique is used for.
#[derive(Debug)]
pub struct Tactic {
    /// Such as `TA0001`. Two tactics share `TA0005`: `stealth` and, by its
    /// name before release 19, `defense-evasion`.
    pub uid: &'static str,
    /// Such as `initial-access`; unique.
    pub shortname: &'static str,
    /// Such as `Initial Access`.
    pub name: &'static str,
}

/// The matrix, parsed at the first call and shared from then on.
pub fn attack() -> &'static Attack {
    static ATTACK: OnceLock<Attack> = OnceLock::new();
    ATTACK.get_or_init(|| {
        let mut attack = load(TABLE).0;
        attack.sources = sources(PLATFORMS);
        attack
    })
}

impl Attack {
    /// The technique or sub-technique with exactly this id (upper case).
    pub fn technique(&self, id: &str) -> Option<&'static Technique> {
        let at = self.techniques.binary_search_by(|t| t.id.cmp(id)).ok()?;
        self.techniques.get(at)
    }

    /// All techniques and sub-techniques, retired ones too, in the order of
    /// their id.
    pub fn techniques(&self) -> impl Iterator<Item = &'static Technique> + use<> {
        self.techniques.iter()
    }

    /// The tactic with exactly this shortname, such as `initial-access`.
    pub fn tactic(&self, shortname: &str) -> Option<&'static Tactic> {
        self.tactics.iter().find(|t| t.shortname == shortname)
    }

    /// All tactics in the order of their uid, then shortname.
    pub fn tactics(&self) -> impl Iterator<Item = &'static Tactic> + use<> {
        self.tactics.iter()
    }

    /// The platforms that events of a source tell about, by the first words of
    /// its name; none where no entry fits.
    pub fn platforms_of(&self, source: &str) -> &[&'static str] {
        let fits =
            |entry: &str| source.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let found = self.sources.iter().filter(|(entry, _)| fits(entry)).max_by_key(|(entry, _)| entry.len());
        found.map_or(&[], |(_, platforms)| platforms.as_slice())
    }

    /// The first words of sources for which platforms are known.
    pub fn placed_sources(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.sources.iter().map(|(entry, _)| *entry)
    }

    /// Every platform that a live technique is used on, in the order of their
    /// names.
    pub fn platforms(&self) -> Vec<&'static str> {
        let mut all: Vec<_> =
            self.techniques.iter().filter(|t| !t.retired).flat_map(|t| t.platforms.iter().copied()).collect();
        all.sort_unstable_by_key(|name| name.to_lowercase());
        all.dedup();
        all
    }
}

/// `PLATFORM, … : SOURCE SOURCE …` on each line.
fn sources(table: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut out = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let Some((platforms, names)) = line.split_once(':') else { continue };
        let platforms: Vec<&str> = platforms.split(',').map(str::trim).collect();
        out.extend(names.split_whitespace().map(|name| (name, platforms.clone())));
    }
    out
}

/// The matrix and the number of lines which were not understood.
fn load(table: &'static str) -> (Attack, usize) {
    let (mut techniques, mut tactics, mut skipped) = (Vec::new(), Vec::new(), 0);
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        match record(line) {
            Some(Record::Technique(technique)) => techniques.push(technique),
            Some(Record::Tactic(tactic)) => tactics.push(tactic),
            None => skipped += 1,
        }
    }
    techniques.sort_by_key(|t| t.id);
    tactics.sort_by_key(|t| (t.uid, t.shortname));
    let attack = Attack { techniques: Vec::leak(techniques), tactics: Vec::leak(tactics), sources: Vec::new() };
    (attack, skipped)
}

enum Record {
    Technique(Technique),
    Tactic(Tactic),
}

/// What a line says; none if it is not understood.
fn record(line: &'static str) -> Option<Record> {
    let mut fields = line.split('\t');
    match fields.next()? {
        "tactic" => {
            Some(Record::Tactic(Tactic { uid: fields.next()?, shortname: fields.next()?, name: fields.next()? }))
        }
        "technique" => {
            let id = fields.next()?;
            let (retired, successor) = match fields.next()? {
                "live" => (false, None),
                "retired" => (true, None),
                id if id.starts_with('T') => (true, Some(id)),
                _ => return None,
            };
            let served = fields.next()?;
            let platforms = match fields.next()? {
                "-" => Vec::new(),
                list => list.split(',').collect(),
            };
            let newest = served.split(';').next().unwrap_or(served);
            Some(Record::Technique(Technique {
                id,
                name: fields.next()?,
                current: if retired { 0 } else { newest.split(',').count() },
                tactics: served.split([',', ';']).collect(),
                retired,
                successor,
                platforms,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_understood_whole() {
        let (attack, skipped) = load(TABLE);
        assert_eq!(skipped, 0);
        assert_eq!(attack.tactics().count(), 16);
        assert_eq!(attack.techniques().count(), 858);
        assert_eq!(attack.techniques().filter(|t| !t.retired).count(), 697);
        for technique in attack.techniques() {
            assert!(!technique.tactics.is_empty(), "{}", technique.id);
            for tactic in &technique.tactics {
                assert!(attack.tactic(tactic).is_some(), "{tactic}");
            }
        }
    }

    #[test]
    fn techniques() {
        let found = attack().technique("T1003.001").unwrap();
        assert_eq!((found.name, found.retired), ("LSASS Memory", false));
        assert_eq!(found.tactics, ["credential-access"]);
        assert!(attack().technique("T1002").unwrap().retired);
        // Listed by 18.1 but no longer by 19.
        assert!(attack().technique("T1562.001").unwrap().retired);
        assert!(attack().technique("t1003").is_none());
        // Renamed in 19, whose tactics come first.
        let renamed = attack().technique("T1211").unwrap();
        assert_eq!(renamed.name, "Exploitation for Stealth");
        assert_eq!(renamed.tactics, ["stealth", "defense-evasion"]);
    }

    #[test]
    fn what_goes_on_under_another_id() {
        let found = |id| attack().technique(id).unwrap();
        assert_eq!(found("T1562.001").successor, Some("T1685"));
        assert_eq!(found("T1086").successor, Some("T1059.001"));
        assert_eq!(found("T1562.006").successor, None);
        for technique in attack().techniques() {
            if let Some(successor) = technique.successor {
                assert!(technique.retired && !found(successor).retired, "{}", technique.id);
            }
        }
        assert_eq!(found("T1059.001").parent(), Some("T1059"));
        assert_eq!(found("T1059").parent(), None);
    }

    #[test]
    fn tactics_of_the_release_and_older_ones() {
        let found = attack().technique("T1574").unwrap();
        assert_eq!(found.current_tactics(), ["stealth", "execution"]);
        assert_eq!(found.tactics.len(), 5);
        assert!(attack().technique("T1562").unwrap().current_tactics().is_empty());
        for technique in attack().techniques().filter(|t| !t.retired) {
            assert!(!technique.current_tactics().is_empty(), "{}", technique.id);
            assert!(!technique.current_tactics().contains(&"defense-evasion"), "{}", technique.id);
        }
    }

    #[test]
    fn platforms() {
        let found = |id| attack().technique(id).unwrap().platforms.clone();
        assert_eq!(found("T1003.001"), ["Windows"]);
        // New in 19: by the name it had, by its parent, by its tactics.
        assert_eq!(found("T1685.001"), ["Windows"]);
        assert_eq!(found("T1027.018"), found("T1027"));
        assert_eq!(found("T1682"), ["PRE"]);
        assert!(attack().techniques().filter(|t| !t.retired).all(|t| !t.platforms.is_empty()));
        assert_eq!(
            attack().platforms(),
            [
                "Containers",
                "ESXi",
                "IaaS",
                "Identity Provider",
                "Linux",
                "macOS",
                "Network Devices",
                "Office Suite",
                "PRE",
                "SaaS",
                "Windows",
            ]
        );
    }

    #[test]
    fn a_source_tells_about_platforms_by_its_first_words() {
        let of = |source| attack().platforms_of(source);
        assert_eq!(of("windows.event_log"), ["Windows"]);
        assert_eq!(of("aws.cloudtrail"), ["IaaS"]);
        assert_eq!(of("azure.signinlogs"), ["Identity Provider"]);
        assert_eq!(of("azure.activitylogs"), ["IaaS"]);
        assert_eq!(of("okta.system_log"), ["Identity Provider"]);
        assert!(of("windowsill").is_empty());
        assert!(of("example.idp").is_empty());
        let known = attack().platforms();
        for (source, platforms) in &attack().sources {
            assert_eq!(of(source), platforms.as_slice(), "{source} is listed twice");
            for platform in platforms {
                assert!(known.contains(platform), "{source}: {platform}");
            }
        }
    }

    #[test]
    fn tactics() {
        assert_eq!(attack().tactic("stealth").unwrap().uid, "TA0005");
        assert_eq!(attack().tactic("defense-evasion").unwrap().uid, "TA0005");
        assert_eq!(attack().tactic("defense-impairment").unwrap().uid, "TA0112");
        assert!(attack().tactic("Stealth").is_none());
    }

    #[test]
    fn damage_is_skipped() {
        let (attack, skipped) = load("tactic\tTA1\ntechnique\tT1\tmaybe\tx\tX\nnoise\n");
        assert_eq!(skipped, 3);
        assert_eq!(attack.techniques().count() + attack.tactics().count(), 0);
    }
}
