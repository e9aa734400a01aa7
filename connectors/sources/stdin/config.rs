//! `kind = "stdin"` in the configuration.

use std::io;
use std::sync::Arc;

use tripline_config::{Said, Table};
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_formats::Layout;

use super::Stream;
use crate::layout::layout;

pub(crate) const KIND: SourceKind = SourceKind { name: "stdin", read };

/// Lines that another program writes.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// What they are.
    pub layout: Layout,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    Some(Arc::new(Settings { layout: layout(table, said)? }))
}

impl SourceSettings for Settings {
    fn place(&self) -> String {
        "standard input".into()
    }

    fn ends(&self) -> bool {
        true
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        Ok(Box::new(Stream { input: Box::new(io::stdin()), layout: self.layout.clone(), intake: opening.intake }))
    }
}
