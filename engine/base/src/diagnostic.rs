//! One thing said to the author of a file: what, where, why, and what to do.

use crate::{Code, Level, Span};

/// Words pointed at, with what is said about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is said of these words; may be empty.
    pub text: String,
}

/// A diagnostic. The first label is the place of the mistake; others give context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: &'static Code,
    /// What is wrong here, in the user's terms.
    pub message: String,
    /// Where, the primary first.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
    /// The item it belongs to (a rule, a mapping …), for machines and for leaving that item out.
    pub item: Option<String>,
}

impl Diagnostic {
    /// A diagnostic at `span`.
    pub fn new(code: &'static Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: vec![Label { span, text: String::new() }],
            help: Vec::new(),
            item: None,
        }
    }

    /// Says something about the primary words.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Points at other words that matter.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Says how to mend it, where there is something to say.
    #[must_use]
    pub fn maybe_help(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }

    /// How grave.
    pub fn level(&self) -> Level {
        self.code.level
    }

    /// The place of the mistake.
    pub fn span(&self) -> Span {
        self.labels.first().map(|label| label.span).unwrap_or_default()
    }
}

/// Puts diagnostics in the order in which people read a file, and drops exact repetitions.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        (a.span(), std::cmp::Reverse(a.level()), a.code.id, &a.message).cmp(&(
            b.span(),
            std::cmp::Reverse(b.level()),
            b.code.id,
            &b.message,
        ))
    });
    diagnostics.dedup();
}
