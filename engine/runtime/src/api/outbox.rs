//! Deliveries: those that wait, were made, or were given up; trying them again and giving them up.

use serde_json::{Value as Json, json};
use tripline_event::format_time;
use tripline_store::{DeliveryState, Queued, Store};

use super::reader::unread;
use super::reply::{Refusal, Reply};
use super::{Api, Call};
use crate::ask::Ask;

/// How many deliveries a page has unless said otherwise, and at most.
const PAGE: (usize, usize) = (100, 1_000);
/// How many one page looks at where those of one destination are wanted.
const LOOKED: usize = 50_000;

/// States, as they are written.
const STATES: [(&str, DeliveryState); 3] =
    [("pending", DeliveryState::Pending), ("delivered", DeliveryState::Delivered), ("dead", DeliveryState::Dead)];

fn shown(one: &Queued) -> Json {
    let state = STATES.iter().find(|(_, state)| *state == one.state).map_or("", |(name, _)| name);
    json!({
        "id": one.id,
        "destination": one.destination,
        "key": one.key,
        "state": state,
        "attempts": one.attempts,
        "due": (one.state == DeliveryState::Pending && one.due > 0).then(|| format_time(one.due)),
        "at": format_time(one.at),
        "reason": one.reason,
        "bytes": one.size,
    })
}

/// A page, the oldest first, and where the next begins.
fn page(
    store: &Store,
    state: Option<DeliveryState>,
    destination: Option<&str>,
    mut after: i64,
    limit: usize,
) -> Result<Json, Refusal> {
    let (mut found, mut looked) = (Vec::new(), 0);
    let told = |found: Vec<Json>, next: Option<i64>| Ok(json!({ "deliveries": found, "next": next }));
    loop {
        let rows = store.outbox(state, after, PAGE.1).map_err(unread)?;
        let last = rows.len() < PAGE.1;
        for row in rows {
            looked += 1;
            if destination.is_none_or(|wanted| wanted == row.destination) {
                if found.len() == limit {
                    return told(found, Some(after));
                }
                found.push(shown(&row));
            }
            after = row.id;
        }
        if last || looked >= LOOKED {
            return told(found, (!last).then_some(after));
        }
    }
}

impl Api {
    /// `GET /v1/outbox`
    pub(super) async fn outbox(&self, call: &Call) -> Result<Reply, Refusal> {
        let state = match call.query.text("state") {
            None => None,
            Some(name) => {
                let found = STATES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state);
                Some(found.ok_or_else(|| Refusal::bad("`state` is one of pending, delivered and dead"))?)
            }
        };
        let destination = call.query.text("destination").map(str::to_string);
        let limit = call.query.limit(PAGE.0, PAGE.1)?;
        let after = call.query.number("after")?.unwrap_or(0);
        let found = self.reader.read(move |store| page(store, state, destination.as_deref(), after, limit));
        found.await.map(Reply::Json)
    }

    /// `POST /v1/outbox/{id}/retry`
    pub(super) async fn retry(&self, call: &Call) -> Result<Reply, Refusal> {
        self.done(call.by(), Ask::Retry(number(call)?), WHAT).await?;
        Ok(Reply::Nothing)
    }

    /// `POST /v1/outbox/{id}/drop`
    pub(super) async fn drop_delivery(&self, call: &Call) -> Result<Reply, Refusal> {
        self.done(call.by(), Ask::Drop(number(call)?), WHAT).await?;
        Ok(Reply::Nothing)
    }
}

const WHAT: &str = "delivery that waits or was given up";

fn number(call: &Call) -> Result<i64, Refusal> {
    call.id().parse().map_err(|_| Refusal::missing(format!("there is no {WHAT} with this id")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_store::{Commit, Delivery, Options};

    #[test]
    fn pages_of_one_destination_have_all_of_them_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
        let names = ["one", "other"];
        let outbox = (0..2_500).map(|n| {
            let destination = names[usize::from(n % 5 != 0)].to_string();
            Delivery { destination, key: n.to_string(), body: "{}".into() }
        });
        store.commit(&Commit { outbox: outbox.collect(), ..Commit::default() }).unwrap();
        let (mut after, mut keys) = (0, Vec::new());
        loop {
            let page = page(&store, Some(DeliveryState::Pending), Some("one"), after, 60).unwrap();
            let rows = page["deliveries"].as_array().unwrap();
            keys.extend(rows.iter().map(|row| row["key"].as_str().unwrap().parse::<u32>().unwrap()));
            match page["next"].as_i64() {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(keys, (0..2_500).step_by(5).collect::<Vec<u32>>());
        assert_eq!(page(&store, Some(DeliveryState::Dead), None, 0, 5).unwrap()["deliveries"], json!([]));
    }
}
