//! What pages for a browser share: their beginning, their colours, and how text from elsewhere comes into them.

use tripline_base::terminal::visible;

/// How a command that has a page prints.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object, with everything
    Json,
    /// One page for a browser
    Html,
}

/// The colours and the body of a page without a script.
const STYLE: &str = include_str!("html/base.css");

/// A page from its first line into its body: no other file, no network, no script. `style` is the page's own.
pub fn begin(title: &str, style: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n"
    )
}

/// Text from elsewhere: what would steer or reorder is shown as an escape, and nothing is markup.
pub fn safe(text: &str) -> String {
    escape(&visible(text))
}

/// Text as it may stand between tags and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(escape("</a>\"'&\u{1b}x"), "&lt;/a&gt;&quot;&#39;&amp; x");
    }
}
