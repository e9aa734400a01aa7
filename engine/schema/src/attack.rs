//! ATT&CK, enterprise matrix: technique ids, names and tactics.
//!
//! The table (`data/attack.txt`, made by `data/generate.py`) joins release 19
//! with release 18.1: names are those of 19, tactics those of either, so that
//! a detection written against the older tactics is not called wrong. What 19
//! no longer lists is kept and marked retired, so that it can be told apart
//! from a mistyped id.

use std::sync::OnceLock;

/// The table which the crate ships.
const TABLE: &str = include_str!("../data/attack.txt");

/// The matrix. Get it from [`attack`].
#[derive(Debug)]
pub struct Attack {
    /// Sorted by id.
    techniques: &'static [Technique],
    /// Sorted by uid, then shortname.
    tactics: &'static [Tactic],
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
    ATTACK.get_or_init(|| load(TABLE).0)
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
    let attack = Attack { techniques: Vec::leak(techniques), tactics: Vec::leak(tactics) };
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
        "technique" => Some(Record::Technique(Technique {
            id: fields.next()?,
            retired: match fields.next()? {
                "live" => false,
                "retired" => true,
                _ => return None,
            },
            tactics: fields.next()?.split(',').collect(),
            name: fields.next()?,
        })),
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
