//! `[[stream]]`: what is read, page by page.

use std::time::Duration;

use tripline_config::{Said, Table};

use super::read::{json, needed_template, path, template, templates};
use super::{Checkpoint, Fetch, Page, Request, Stream};
use crate::poll::path::Path;

/// Whether a text may be the name of a connector, a stream or a setting.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn minutes(number: u64) -> Duration {
    Duration::from_secs(number * 60)
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            name: String::new(),
            source: String::new(),
            optional: false,
            before: Vec::new(),
            first: Request::default(),
            next: Request::default(),
            page: Page::None,
            more: None,
            size: None,
            checkpoint: Checkpoint::Time,
            items: Path::default(),
            split: None,
            fetch: None,
            id: Vec::new(),
            time: None,
            every: minutes(1),
            from: minutes(24 * 60),
            overlap: minutes(5),
            settle: Duration::ZERO,
            window: minutes(24 * 60),
            retention: None,
            remember: 200_000,
        }
    }
}

pub(super) fn stream(mut table: Table<'_>, earlier: &[Stream], said: &mut Said<'_>) -> Option<Stream> {
    let span = table.span;
    let name = table.needed("name", "\"sign_ins\"", said);
    if let Some(name) = &name {
        if !is_name(&name.value) {
            said.bad(name.span, "a name has lower case letters, digits and `_`, and begins with a letter or digit");
        } else if earlier.iter().any(|one| one.name == name.value) {
            said.bad(name.span, format!("there are two streams `{}`", name.value));
        }
    }
    let like = table.text("like", said);
    let base = like.as_ref().and_then(|like| earlier.iter().find(|one| one.name == like.value));
    if let Some(like) = like.as_ref().filter(|_| base.is_none()) {
        said.bad(like.span, format!("there is no stream `{}` above this one", like.value));
    }
    let fresh = like.is_none();
    let mut out = base.cloned().unwrap_or_default();
    let source = if fresh { table.needed("source", "\"vendor.log\"", said) } else { table.text("source", said) };
    if let Some(source) = source {
        out.source = source.value;
    }
    out.name = name.map(|name| name.value).unwrap_or_default();
    out.optional = table.flag("optional", out.optional, said);
    if table.has("before") {
        out.before = table.tables("before", said).into_iter().filter_map(|table| before(table, said)).collect();
    }
    requests(&mut table, fresh, &mut out, said);
    if let Some(table) = table.table("page", said) {
        paging(table, &mut out, said);
    }
    match table.choice("checkpoint", &["time", "cursor"], said) {
        Some("cursor") => out.checkpoint = Checkpoint::Cursor,
        Some(_) => out.checkpoint = Checkpoint::Time,
        None => {}
    }
    if let Some(items) = path(&mut table, "items", said) {
        out.items = items;
    }
    if let Some(split) = table.text("split", said) {
        out.split = Some(split.value);
    }
    if let Some(table) = table.table("fetch", said) {
        out.fetch = fetch(table, said);
    }
    if let Some(ids) = table.texts("id", said) {
        let parsed =
            |text: tripline_config::At<String>| Path::parse(&text.value).map_err(|why| said.bad(text.span, why)).ok();
        out.id = ids.into_iter().filter_map(parsed).collect();
    }
    if let Some(time) = path(&mut table, "time", said) {
        out.time = Some(time);
    }
    times(&mut table, &mut out, said);
    if out.checkpoint == Checkpoint::Cursor && matches!(out.page, Page::None | Page::Offset(_)) {
        said.bad(
            span,
            "a checkpoint that is a cursor needs a `page` that gives one: `link`, `url`, `cursor` or `last`",
        );
    }
    table.finish(said);
    Some(out)
}

fn requests(table: &mut Table<'_>, fresh: bool, out: &mut Stream, said: &mut Said<'_>) {
    match table.choice("method", &["GET", "POST"], said) {
        Some(method) => out.first.post = method == "POST",
        None if fresh => out.first.post = table.has("json"),
        None => {}
    }
    let changed = fresh || ["method", "path", "query", "json"].into_iter().any(|key| table.has(key));
    let path =
        if fresh { needed_template(table, "path", "\"/v1/events\"", said) } else { template(table, "path", said) };
    if let Some(path) = path {
        out.first.path = path;
    }
    if table.has("query") {
        out.first.query = templates(table, "query", said);
    }
    if let Some(json) = json(table, said) {
        out.first.json = Some(json);
    }
    if changed {
        out.next = out.first.clone();
    }
    if let Some(mut within) = table.table("next", said) {
        if let Some(path) = template(&mut within, "path", said) {
            out.next.path = path;
        }
        if within.has("query") {
            out.next.query = templates(&mut within, "query", said);
        }
        if let Some(json) = json(&mut within, said) {
            out.next.json = Some(json);
        }
        within.finish(said);
    }
}

fn before(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Request> {
    let post = table.choice("method", &["GET", "POST"], said) == Some("POST");
    let path = needed_template(&mut table, "path", "\"/subscriptions/start\"", said);
    let query = templates(&mut table, "query", said);
    let json = json(&mut table, said);
    table.finish(said);
    Some(Request { post, path: path?, query, json })
}

const KINDS: [&str; 6] = ["link", "url", "url_header", "cursor", "last", "offset"];

fn paging(mut table: Table<'_>, out: &mut Stream, said: &mut Said<'_>) {
    let span = table.span;
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
    if given.len() > 1 {
        said.bad(span, format!("a page has one of {}, and this has {}", KINDS.join(", "), given.join(" and ")));
    }
    (out.page, out.more, out.size) = (Page::None, None, None);
    if table.flag("link", false, said) {
        out.page = Page::Link;
    }
    if let Some(at) = path(&mut table, "url", said) {
        out.page = Page::Url(at);
    }
    if let Some(header) = table.text("url_header", said) {
        out.page = Page::UrlHeader(header.value.to_ascii_lowercase());
    }
    let join = table.text("join", said).map_or_else(|| ",".to_string(), |join| join.value);
    if let Some(at) = path(&mut table, "cursor", said) {
        out.page = Page::Cursor(at, join);
    }
    if let Some(at) = path(&mut table, "last", said) {
        out.page = Page::Last(at);
    }
    if table.has("size") {
        out.size = Some(table.number("size", 100, 1..=100_000, said));
    }
    if table.has("offset") {
        let size = table.number("offset", 100, 1..=100_000, said);
        (out.page, out.size) = (Page::Offset(size), Some(size));
    }
    out.more = path(&mut table, "more", said);
    table.finish(said);
}

fn fetch(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Fetch> {
    let mut needed = |key: &str, example: &str| {
        if !table.has(key) {
            table.lacks(key, example, said);
        }
        path(&mut table, key, said)
    };
    let (url, id) = (needed("url", "\"contentUri\""), needed("id", "\"contentId\""));
    let items = path(&mut table, "items", said).unwrap_or_default();
    let query = templates(&mut table, "query", said);
    table.finish(said);
    Some(Fetch { url: url?, id: id?, query, items })
}

fn times(table: &mut Table<'_>, out: &mut Stream, said: &mut Said<'_>) {
    out.every = table.duration("every", out.every, ("1s", "1d"), said);
    out.from = table.duration("from", out.from, ("0s", "3650d"), said);
    out.overlap = table.duration("overlap", out.overlap, ("0s", "7d"), said);
    out.settle = table.duration("settle", out.settle, ("0s", "1d"), said);
    out.window = table.duration("window", out.window, ("1m", "3650d"), said);
    if table.has("retention") {
        out.retention = Some(table.duration("retention", minutes(24 * 60), ("1h", "3650d"), said));
    }
    let most = table.number("remember", u64::try_from(out.remember).unwrap_or(200_000), 1..=1_000_000, said);
    out.remember = usize::try_from(most).unwrap_or(out.remember);
}
