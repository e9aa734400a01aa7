//! What the lines of log files are, as users say it.

use std::time::{SystemTime, UNIX_EPOCH};

use tripline_formats::{Format, Layout};

/// How log files are read.
#[derive(clap::Args, Clone, Debug)]
pub struct Input {
    /// What log files are: auto, json, syslog, cef, leef, kv, csv, w3c, zeek, auditd, vpcflow or apache
    #[arg(long, value_name = "FORMAT", default_value_t = Format::Auto)]
    input: Format,
    /// The names of the columns, with commas between: of `csv` and `vpcflow` files that do not have them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// What stands between the values of `csv` or the pairs of `kv`: one character, or `tab`
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
}

impl Input {
    /// What the reader of a file is told.
    pub fn layout(&self) -> Result<Layout, String> {
        let only = |option: &str, formats: &[Format]| {
            let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
            let fits = formats.contains(&self.input);
            if fits { Ok(()) } else { Err(format!("{option} is for --input {}", names.join(" or "))) }
        };
        if !self.columns.is_empty() {
            only("--columns", &[Format::Csv, Format::Vpcflow])?;
        }
        if self.delimiter.is_some() {
            only("--delimiter", &[Format::Csv, Format::Kv])?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        Ok(Layout {
            format: self.input,
            columns: self.columns.clone(),
            delimiter: self.delimiter,
            near: now.and_then(|now| i64::try_from(now.as_nanos()).ok()),
        })
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\n' | b'\r'] => Err("a quote or an end of line stands between no values".into()),
        [one] if one.is_ascii() => Ok(*one),
        _ => Err("one ASCII character, or `tab`".into()),
    }
}
