//! Alerts: lists, one of them, its findings, and what people do with it.

use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tripline_alert::{Act, Alert, SEVERITIES, Status, Verdict, json as shown};
use tripline_store::{AlertQuery, AlertRow, Store};

use super::params::Params;
use super::reader::unread;
use super::reply::{Refusal, Reply};
use super::{Api, Call, end};
use crate::ask::Ask;
use crate::engine::desk::state_of;
use tripline_connect::clock;

/// How many alerts a page has unless said otherwise, and at most.
const PAGE: (usize, usize) = (50, 200);
/// How many alerts one page looks at where not all of them are wanted.
const LOOKED: usize = 5_000;
/// How many findings a page has unless said otherwise, and at most.
const FINDINGS: (usize, usize) = (100, 500);
/// The most findings of an alert that can be asked for.
const PARTS: usize = 1_000_000;
/// How large a page of findings becomes (bytes); one finding more may come on top.
const LARGEST: usize = 8 << 20;

/// Which alerts are wanted.
struct Wanted {
    query: AlertQuery,
    entity: Option<(Option<String>, String)>,
    limit: usize,
}

fn wanted(params: &Params) -> Result<Wanted, Refusal> {
    let mut states = Vec::new();
    for name in params.text("status").into_iter().flat_map(|names| names.split(',')) {
        let status = Status::parse(name);
        let status = status.ok_or_else(|| Refusal::bad("`status` is of open, acknowledged and closed, with commas"))?;
        states.push(state_of(status));
    }
    let severity = match params.text("severity") {
        None => None,
        Some(name) => {
            let at = SEVERITIES.iter().position(|known| known.eq_ignore_ascii_case(name));
            let said = || Refusal::bad(format!("`severity` is one of {}", SEVERITIES.join(", ").to_lowercase()));
            Some(at.and_then(|at| i64::try_from(at).ok()).ok_or_else(said)? + 1)
        }
    };
    let after = match params.text("after") {
        None => None,
        Some(text) => {
            let cut = text.split_once('.').and_then(|(opened, id)| Some((opened.parse::<i64>().ok()?, id.to_string())));
            Some(cut.ok_or_else(|| Refusal::bad("`after` is what `next` of the page before says"))?)
        }
    };
    let entity = params.text("entity").map(|text| match text.split_once(':') {
        Some((kind, value)) if tripline_semantic::typed::ENTITY_KINDS.contains(&kind) => {
            (Some(kind.to_string()), value.to_string())
        }
        _ => (None, text.to_string()),
    });
    let query =
        AlertQuery { states, rule: None, severity, from: params.time("from")?, until: params.time("until")?, after };
    Ok(Wanted { query, entity, limit: params.limit(PAGE.0, PAGE.1)? })
}

fn read(row: &AlertRow) -> Result<Alert, Refusal> {
    let broken = |_| Refusal::broken(format!("the alert {} cannot be read", row.id));
    serde_json::from_str(&row.body).map_err(broken)
}

impl Wanted {
    /// A page, and where the next begins.
    fn page(mut self, store: &Store) -> Result<Json, Refusal> {
        let (mut found, mut looked) = (Vec::new(), 0);
        // Where not all are wanted, many are looked at for a few.
        let piece = if self.entity.is_some() { PAGE.1 } else { self.limit };
        loop {
            let rows = store.alerts(&self.query, piece).map_err(unread)?;
            let last = rows.len() < piece;
            for row in rows {
                looked += 1;
                self.query.after = Some((row.opened, row.id.clone()));
                let alert = read(&row)?;
                if self.fits(&alert) {
                    found.push(shown::alert(&alert));
                }
                if found.len() == self.limit || looked >= LOOKED {
                    return Ok(self.told(found, true));
                }
            }
            if last {
                return Ok(self.told(found, false));
            }
        }
    }

    fn fits(&self, alert: &Alert) -> bool {
        self.entity.as_ref().is_none_or(|(kind, value)| {
            let mut entities = alert.entities.iter();
            entities.any(|one| one.value == *value && kind.as_ref().is_none_or(|kind| one.kind == *kind))
        })
    }

    fn told(&self, alerts: Vec<Json>, more: bool) -> Json {
        let next = self.query.after.as_ref().filter(|_| more).map(|(opened, id)| format!("{opened}.{id}"));
        json!({ "alerts": alerts, "next": next })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commented {
    comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assigned {
    to: String,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snoozed {
    until: Option<String>,
    r#for: Option<String>,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Closed {
    verdict: String,
    #[serde(default)]
    comment: String,
}

/// What a body asks to be done.
fn act(name: &str, call: &Call) -> Result<Act, Refusal> {
    Ok(match name {
        "acknowledge" => Act::Acknowledge { comment: call.json::<Said>()?.comment },
        "assign" => {
            let Assigned { to, comment } = call.json()?;
            Act::Assign { to, comment }
        }
        "snooze" => {
            let Snoozed { until, r#for, comment } = call.json()?;
            Act::Snooze { until: end(until.as_deref(), r#for.as_deref(), clock::now())?, comment }
        }
        "close" => {
            let Closed { verdict, comment } = call.json()?;
            let names = Verdict::ALL.map(Verdict::as_str).join(", ");
            let verdict =
                Verdict::parse(&verdict).ok_or_else(|| Refusal::unusable(format!("`verdict` is one of {names}")))?;
            Act::Close { verdict, comment }
        }
        "reopen" => Act::Reopen { comment: call.json::<Said>()?.comment },
        _ => Act::Comment { comment: call.json::<Commented>()?.comment },
    })
}

impl Api {
    /// `GET /v1/alerts`
    pub(super) async fn alerts(&self, call: &Call) -> Result<Reply, Refusal> {
        let mut wanted = wanted(&call.query)?;
        wanted.query.rule = call.query.text("rule").map(|rule| self.shown.uid(rule));
        self.reader.read(move |store| wanted.page(store)).await.map(Reply::Json)
    }

    /// `GET /v1/alerts/{id}`
    pub(super) async fn alert(&self, id: &str) -> Result<Reply, Refusal> {
        let id = id.to_string();
        let found = self.reader.read(move |store| match store.alert(&id).map_err(unread)? {
            Some(row) => Ok(shown::alert(&read(&row)?)),
            None => Err(Refusal::missing("there is no alert with this id")),
        });
        found.await.map(Reply::Json)
    }

    /// `GET /v1/alerts/{id}/findings`
    pub(super) async fn findings(&self, call: &Call) -> Result<Reply, Refusal> {
        let (id, limit) = (call.id().to_string(), call.query.limit(FINDINGS.0, FINDINGS.1)?);
        let after = call.query.text("after").unwrap_or_default().to_string();
        let found = self.reader.read(move |store| {
            if store.alert(&id).map_err(unread)?.is_none() {
                return Err(Refusal::missing("there is no alert with this id"));
            }
            let parts = store.parts(&id, PARTS).map_err(unread)?;
            page(store, parts.iter().skip_while(|uid| uid.as_str() <= after.as_str()), limit)
        });
        found.await.map(Reply::Json)
    }

    /// `POST /v1/alerts/{id}/…`
    pub(super) async fn act(&self, name: &str, call: &Call) -> Result<Reply, Refusal> {
        let act = act(name, call)?;
        self.done(call.by(), Ask::Act { id: call.id().to_string(), act }, "alert").await?;
        self.alert(call.id()).await
    }
}

/// A page of findings; those that retention took are passed over.
fn page<'u>(store: &Store, mut uids: impl Iterator<Item = &'u String>, limit: usize) -> Result<Json, Refusal> {
    let (mut findings, mut size, mut last) = (Vec::new(), 0, None);
    let mut take = |uid: &String| -> Result<ControlFlow<()>, Refusal> {
        last = Some(uid.clone());
        if let Some(row) = store.finding(uid).map_err(unread)? {
            size += row.body.len();
            let body: Json = serde_json::from_str(&row.body)
                .map_err(|_| Refusal::broken(format!("the finding {uid} cannot be read")))?;
            findings.push(body);
        }
        let full = findings.len() >= limit || size >= LARGEST;
        Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    for uid in uids.by_ref() {
        if take(uid)?.is_break() {
            break;
        }
    }
    let next = last.filter(|_| uids.next().is_some());
    Ok(json!({ "findings": findings, "next": next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_or_refused() {
        let names = ["status", "severity", "entity", "after", "limit", "from", "until"];
        let read = |query: &str| wanted(&Params::read(query, &names).unwrap());
        let found = read("status=open,closed&severity=High&entity=user:alice&after=5.ab&limit=7").ok().unwrap();
        assert_eq!((found.query.states, found.query.severity, found.limit), (vec![0, 2], Some(4), 7));
        assert_eq!(found.query.after, Some((5, "ab".to_string())));
        assert_eq!(found.entity, Some((Some("user".into()), "alice".into())));
        let address = read("entity=2001:db8::1").ok().unwrap().entity;
        assert_eq!(address, Some((None, "2001:db8::1".into())), "a colon may belong to the value");
        for bad in ["status=new", "severity=bad", "after=x", "after=1", "limit=0", "limit=201", "from=x"] {
            assert_eq!(read(bad).err().map(|refusal| refusal.status.as_u16()), Some(400), "{bad}");
        }
    }
}
