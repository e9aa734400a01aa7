//! What a configuration says of packs and rules: `[[pack]]` and `[[override]]`, as they were read.

use std::sync::Arc;

use tripline_base::{Diagnostic, FileId, SourceMap, Span};
use tripline_semantic::expression_at;
use tripline_semantic::typed::{Mode, Rule, Severity};
use tripline_syntax::ast::{self, Item, Prefix, Quote, RuleClause};

use super::{OWN, Pack, of, of_file};

/// What a configuration says. Places are those of its own text, whatever file that is among others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// What the configuration is called.
    pub name: String,
    /// Its text, without what may be secret.
    pub text: Arc<str>,
    /// Of packs: what is said later counts.
    pub packs: Vec<OfPack>,
    /// Of rules: what is said later counts, and before what is said of packs.
    pub overrides: Vec<Override>,
}

/// A name in which `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// As it is written.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// `[[pack]]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfPack {
    /// Which packs.
    pub name: Pattern,
    /// Whether they are evaluated, where that is said.
    pub enabled: Option<bool>,
    /// Whether they are in shadow, where that is said; and where.
    pub shadow: Option<(bool, Span)>,
}

/// `[[override]]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Which rules, by their names or ids.
    pub rule: Pattern,
    /// The severity of all of their findings.
    pub severity: Option<Severity>,
    /// Who looks after them.
    pub owner: Option<String>,
    /// Whether they are not evaluated, where that is said.
    pub disable: Option<bool>,
    /// Whether they are in shadow, where that is said; and where.
    pub shadow: Option<(bool, Span)>,
    /// What they are not to find.
    pub except: Vec<Except>,
}

/// An exception beside those of the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except {
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub until: Option<(String, Span)>,
    /// Which events: the words of an expression with their quotes.
    pub condition: Span,
    /// Whether it judges findings of a rule over several events.
    pub finding: bool,
    /// The whole of it.
    pub span: Span,
}

/// What a configuration makes of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided<'l> {
    /// Whether it is evaluated and told.
    pub mode: Mode,
    /// What said so last; none where nothing did.
    pub by: Option<&'l Pattern>,
    /// The severity of its findings.
    pub severity: Option<Severity>,
    /// Who looks after it.
    pub owner: Option<&'l str>,
    /// The overrides that are of it.
    pub overrides: Vec<&'l Override>,
}

impl Pattern {
    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.text.split('*');
        let first = parts.next().unwrap_or("");
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or("");
        }
        rest.ends_with(last)
    }

    /// Whether it is one name and no other.
    pub fn is_name(&self) -> bool {
        !self.text.contains('*')
    }

    /// Whether a name of a pack, or of something in it, fits. Where the pack is that over what a service tells of itself, it
    /// has to be written in full.
    fn fits_in(&self, pack: Option<&str>, name: &str) -> bool {
        self.fits(name) && (pack != Some(OWN) || self.is_name())
    }
}

impl OfPack {
    /// Whether it is of a pack.
    pub fn is_of(&self, pack: &str) -> bool {
        self.name.fits_in(Some(pack), pack)
    }
}

impl Override {
    /// Whether it is of a rule of a pack.
    pub fn is_of(&self, pack: Option<&str>, name: &str, uid: &str) -> bool {
        self.rule.fits_in(pack, name) || self.rule.fits_in(pack, uid)
    }
}

impl Local {
    /// The expression of an exception, as it is written.
    pub fn words(&self, except: &Except) -> &str {
        let (start, end) = (except.condition.start as usize, except.condition.end as usize);
        let written = self.text.get(start..end).unwrap_or_default();
        let between = |quotes: &&str| written.strip_prefix(*quotes).and_then(|rest| rest.strip_suffix(*quotes));
        ["'''", "\"\"\"", "'", "\""].iter().find_map(between).unwrap_or(written).trim()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.overrides.is_empty()
    }

    /// Whether a pack is named by itself, and not switched off.
    pub fn wants(&self, pack: &str) -> bool {
        let named = self.packs.iter().any(|of| of.name.is_name() && of.name.text == pack);
        let on = self.packs.iter().filter(|of| of.is_of(pack)).filter_map(|of| of.enabled).next_back();
        named && on.unwrap_or(true)
    }

    /// What becomes of a rule of a pack.
    pub fn decide(&self, pack: Option<&str>, name: &str, uid: &str) -> Decided<'_> {
        let mut out = Decided::default();
        let (mut enabled, mut shadow) = (true, false);
        for of in self.packs.iter().filter(|of| pack.is_some_and(|pack| of.is_of(pack))) {
            if of.enabled.is_some() || of.shadow.is_some() {
                out.by = Some(&of.name);
            }
            enabled = of.enabled.unwrap_or(enabled);
            shadow = of.shadow.map_or(shadow, |(shadow, _)| shadow);
        }
        for one in self.overrides.iter().filter(|one| one.is_of(pack, name, uid)) {
            if one.disable.is_some() || one.shadow.is_some() {
                out.by = Some(&one.rule);
            }
            enabled = one.disable.map_or(enabled, |disable| !disable);
            shadow = one.shadow.map_or(shadow, |(shadow, _)| shadow);
            out.severity = one.severity.or(out.severity);
            out.owner = one.owner.as_deref().or(out.owner);
            out.overrides.push(one);
        }
        out.mode = match (enabled, shadow) {
            (false, _) => Mode::Off,
            (true, true) => Mode::Shadow,
            (true, false) => Mode::On,
        };
        out
    }

    /// What becomes of a rule that was compiled.
    pub fn of(&self, packs: &[Pack], sources: &SourceMap, rule: &Rule) -> Decided<'_> {
        self.decide(of(packs, sources, rule).map(|pack| pack.name.as_str()), &rule.name, rule.uid())
    }

    /// Gives rules the exceptions that are theirs, as if they had them: they are typed, planned and told like others.
    pub(crate) fn except(&self, packs: &[Pack], sources: &mut SourceMap, files: &mut [ast::File]) -> Vec<Diagnostic> {
        let mut said = Vec::new();
        if self.overrides.iter().all(|one| one.except.is_empty()) {
            return said;
        }
        let file = sources.add(&*self.name, &*self.text);
        for one in self.overrides.iter().filter(|one| !one.except.is_empty()) {
            let clauses: Vec<RuleClause> = one
                .except
                .iter()
                .filter_map(|except| {
                    let (clause, wrong) = clause(sources, file, except);
                    said.extend(wrong);
                    clause.map(RuleClause::Except)
                })
                .collect();
            for rule in files.iter_mut().flat_map(|file| &mut file.items).filter_map(|item| match item {
                Item::Rule(rule) => Some(rule),
                _ => None,
            }) {
                let pack = of_file(packs, sources.name(rule.span.file)).map(|pack| pack.name.as_str());
                if one.is_of(pack, &rule.name.text, uid(rule)) {
                    rule.clauses.extend(clauses.iter().cloned());
                }
            }
        }
        said
    }

    /// Makes of rules what is said of them.
    pub(crate) fn apply(&self, packs: &[Pack], sources: &SourceMap, rules: &mut [Rule]) {
        if self.is_empty() {
            return;
        }
        for rule in rules {
            let pack = of_file(packs, sources.name(rule.span.file)).map(|pack| pack.name.as_str());
            let decided = self.decide(pack, &rule.name, rule.uid());
            let (mode, severity, owner) = (decided.mode, decided.severity, decided.owner.map(str::to_string));
            rule.mode = mode;
            if let Some(severity) = severity {
                rule.header.severity = Some(severity);
                rule.alert.severity.clear();
                rule.graded = true;
            }
            if owner.is_some() {
                rule.header.owner = owner;
            }
        }
    }
}

/// What findings name a rule by that was parsed.
fn uid(rule: &ast::Rule) -> &str {
    let id = rule.clauses.iter().find_map(|clause| match clause {
        RuleClause::Field(field) if field.name.text == "id" => field.value.as_text(),
        _ => None,
    });
    id.map_or(&rule.name.text, |id| &id.value)
}

/// An exception as a clause of a rule; none where its expression cannot be read.
fn clause(sources: &SourceMap, file: FileId, except: &Except) -> (Option<ast::Except>, Vec<Diagnostic>) {
    let here = |span: Span| Span { file, ..span };
    let at = here(except.condition);
    let (expr, said) = expression_at(sources, at);
    let clause = expr.map(|expr| ast::Except {
        span: here(except.span),
        finding: except.finding,
        reason: ast::Text {
            span: here(except.span),
            value: except.reason.clone(),
            prefix: Prefix::None,
            quote: Quote::Double,
        },
        until: except.until.as_ref().map(|(day, span)| ast::Name { text: day.clone(), span: here(*span) }),
        condition: ast::Where { span: at, expr },
    });
    (clause, said)
}
