//! Texts with places where a line may break, and how they are laid out in 100 columns. A group is put on
//! one line if it fits; comments and texts over several lines break every group around them.

/// The longest line, where it can be helped.
pub(super) const WIDTH: usize = 100;

/// A place where a line may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// A space on one line.
    Space,
    /// Nothing on one line.
    Nothing,
    /// Never on one line.
    Always,
}

/// What to print.
#[derive(Debug)]
pub(super) enum Doc {
    /// Words, with all their line breaks.
    Text(String),
    /// One after the other.
    Concat(Vec<Doc>),
    /// Lines within stand two columns deeper.
    Indent(Box<Doc>),
    /// All of its breaks, or none.
    Group(Box<Doc>, bool),
    /// Perhaps the end of a line.
    Line(Break),
    /// An empty line before the next line, if the group breaks.
    Blank,
    /// Words for a group that breaks.
    IfBroken(&'static str),
    /// A comment that closes the line on which it stands.
    Suffix(String),
}

pub(super) fn text(words: impl Into<String>) -> Doc {
    Doc::Text(words.into())
}

pub(super) fn concat<const N: usize>(parts: [Doc; N]) -> Doc {
    Doc::Concat(parts.into())
}

pub(super) fn indent(doc: Doc) -> Doc {
    Doc::Indent(Box::new(doc))
}

pub(super) fn group(doc: Doc) -> Doc {
    group_broken(doc, false)
}

/// A group that breaks even where it would fit, if `broken`.
pub(super) fn group_broken(doc: Doc, broken: bool) -> Doc {
    let broken = broken || doc.forced();
    Doc::Group(Box::new(doc), broken)
}

pub(super) const LINE: Doc = Doc::Line(Break::Space);
pub(super) const SOFT: Doc = Doc::Line(Break::Nothing);
pub(super) const HARD: Doc = Doc::Line(Break::Always);

fn columns(words: &str) -> usize {
    words.chars().count()
}

impl Doc {
    /// Whether it cannot stand on one line.
    pub fn forced(&self) -> bool {
        match self {
            Doc::Text(words) => words.contains('\n'),
            Doc::Concat(parts) => parts.iter().any(Doc::forced),
            Doc::Indent(inner) => inner.forced(),
            Doc::Group(_, broken) => *broken,
            Doc::Line(kind) => *kind == Break::Always,
            Doc::Suffix(_) => true,
            Doc::Blank | Doc::IfBroken(_) => false,
        }
    }

    /// Whether it has places to break at.
    pub fn breakable(&self) -> bool {
        match self {
            Doc::Concat(parts) => parts.iter().any(Doc::breakable),
            Doc::Indent(inner) | Doc::Group(inner, _) => inner.breakable(),
            Doc::Line(_) => true,
            _ => self.forced(),
        }
    }

    /// Its width on one line.
    pub fn flat_width(&self) -> usize {
        match self {
            Doc::Text(words) => columns(words),
            Doc::Concat(parts) => parts.iter().map(Doc::flat_width).sum(),
            Doc::Indent(inner) | Doc::Group(inner, _) => inner.flat_width(),
            Doc::Line(Break::Space) => 1,
            _ => 0,
        }
    }
}

/// Lays the document out.
pub(super) fn render(doc: &Doc) -> String {
    let mut out = Page::default();
    let mut stack = vec![Job { indent: 0, flat: false, doc }];
    while let Some(Job { indent, flat, doc }) = stack.pop() {
        match doc {
            Doc::Text(words) => out.write(words),
            Doc::Concat(parts) => stack.extend(parts.iter().rev().map(|doc| Job { indent, flat, doc })),
            Doc::Indent(inner) => stack.push(Job { indent: indent + 2, flat, doc: inner }),
            Doc::Group(inner, broken) => {
                let candidate = Job { indent, flat: true, doc: inner };
                let flat = flat || (!broken && fits(&stack, candidate, WIDTH.saturating_sub(out.column())));
                stack.push(Job { indent, flat, doc: inner });
            }
            Doc::Line(Break::Space) if flat => out.write(" "),
            Doc::Line(Break::Nothing) if flat => {}
            Doc::Line(_) => out.end_line(indent),
            Doc::Blank if flat => {}
            Doc::Blank => out.blank = true,
            Doc::IfBroken(words) if !flat => out.write(words),
            Doc::IfBroken(_) => {}
            Doc::Suffix(words) => out.suffixes.push(words.clone()),
        }
    }
    out.end_line(0);
    out.text
}

#[derive(Clone, Copy)]
struct Job<'a> {
    indent: usize,
    flat: bool,
    doc: &'a Doc,
}

/// Whether `first` and what follows it up to the next place to break fit into `room` columns.
fn fits(rest: &[Job<'_>], first: Job<'_>, room: usize) -> bool {
    let mut room = room;
    let mut stack = vec![first];
    let mut rest = rest.iter().rev();
    loop {
        let Some(job) = stack.pop().or_else(|| rest.next().copied()) else { return true };
        let width = match job.doc {
            Doc::Text(words) => match words.split_once('\n') {
                Some((line, _)) => return columns(line) <= room,
                None => columns(words),
            },
            Doc::Concat(parts) => {
                stack.extend(parts.iter().rev().map(|doc| Job { doc, ..job }));
                0
            }
            Doc::Indent(inner) => {
                stack.push(Job { doc: inner, ..job });
                0
            }
            Doc::Group(inner, broken) => {
                stack.push(Job { doc: inner, flat: job.flat && !broken, ..job });
                0
            }
            Doc::Line(Break::Space) if job.flat => 1,
            Doc::Line(Break::Nothing) if job.flat => 0,
            Doc::Line(_) => return true,
            Doc::IfBroken(words) if !job.flat => columns(words),
            Doc::IfBroken(_) | Doc::Blank | Doc::Suffix(_) => 0,
        };
        match room.checked_sub(width) {
            Some(left) => room = left,
            None => return false,
        }
    }
}

#[derive(Default)]
struct Page {
    text: String,
    /// Columns written on the current line; none on an empty one.
    written: Option<usize>,
    /// Of the current line.
    indent: usize,
    suffixes: Vec<String>,
    blank: bool,
}

impl Page {
    fn column(&self) -> usize {
        self.written.unwrap_or(self.indent)
    }

    fn indented(&mut self) {
        self.text.extend(std::iter::repeat_n(' ', self.indent));
    }

    fn write(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        if self.written.is_none() {
            self.indented();
        }
        self.text.push_str(words);
        self.written = Some(match words.rsplit_once('\n') {
            Some((_, last)) => columns(last),
            None => self.column() + columns(words),
        });
    }

    fn end_line(&mut self, indent: usize) {
        for (n, comment) in std::mem::take(&mut self.suffixes).into_iter().enumerate() {
            // Two comments cannot close one line.
            if n > 0 {
                self.text.push('\n');
                self.written = None;
            }
            match self.written {
                Some(_) => self.text.push(' '),
                None => self.indented(),
            }
            self.text.push_str(&comment);
            self.written = Some(0);
        }
        self.indent = indent;
        if self.written.is_some() {
            self.text.push('\n');
        }
        if std::mem::take(&mut self.blank) && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.written = None;
    }
}
