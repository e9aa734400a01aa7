//! What the lines of a source are, in its configuration: `format`, `columns`, `delimiter`.

use tripline_base::did_you_mean;
use tripline_config::{Said, Table};
use tripline_formats::{Format, Layout};

/// Reads the keys; JSON where they are not there. None where something was wrong and said.
pub(crate) fn layout(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Layout> {
    let written = table.text("format", said);
    let (columns, delimiter) = (table.has("columns"), table.has("delimiter"));
    let format = match written {
        None => Format::Json,
        Some(given) => match given.value.parse::<Format>() {
            Ok(format) => format,
            Err(error) => {
                let names = Format::ALL.map(Format::name);
                let hint = did_you_mean(&given.value, names).map_or(String::new(), |hint| format!("; {hint}"));
                said.bad(given.span, format!("{error}{hint}"));
                return None;
            }
        },
    };
    let mut layout = Layout::of(format);
    if columns {
        if !matches!(format, Format::Csv | Format::Vpcflow) {
            said.bad(table.span, "`columns` is for `format = \"csv\"` and `format = \"vpcflow\"`");
            return None;
        }
        layout.columns = table.texts("columns", said)?.into_iter().map(|name| name.value).collect();
    }
    if delimiter {
        if !matches!(format, Format::Csv | Format::Kv) {
            said.bad(table.span, "`delimiter` is for `format = \"csv\"` and `format = \"kv\"`");
            return None;
        }
        let given = table.text("delimiter", said)?;
        match given.value.as_bytes() {
            [one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => layout.delimiter = Some(*one),
            _ => {
                said.bad(given.span, "`delimiter` is one ASCII character, such as `\";\"` or `\"\\t\"`");
                return None;
            }
        }
    }
    Some(layout)
}
