//! The formats that an input may have, by their names, and what is said of one besides its name.

use std::fmt;
use std::str::FromStr;

/// What the lines of an input are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Known by the first lines; JSON where they are of no format that is.
    #[default]
    Auto,
    /// JSON, in any of the shapes that the crate's header lists; Windows event logs are read as this.
    Json,
    /// Syslog of RFC 5424 and RFC 3164, and files of it.
    Syslog,
    /// ArcSight's Common Event Format.
    Cef,
    /// QRadar's Log Event Extended Format, 1.0 and 2.0.
    Leef,
    /// Pairs of key and value.
    Kv,
    /// Comma-separated values.
    Csv,
    /// The W3C extended log format, as IIS writes it.
    W3c,
    /// Zeek's logs of tab-separated values.
    Zeek,
    /// The log of the Linux audit system.
    Auditd,
    /// AWS VPC flow logs.
    Vpcflow,
    /// Access and error logs of Apache httpd and nginx.
    Apache,
}

impl Format {
    /// All of them, the one that is chosen where nothing is said first.
    pub const ALL: [Format; 12] = [
        Format::Auto,
        Format::Json,
        Format::Syslog,
        Format::Cef,
        Format::Leef,
        Format::Kv,
        Format::Csv,
        Format::W3c,
        Format::Zeek,
        Format::Auditd,
        Format::Vpcflow,
        Format::Apache,
    ];

    /// The name that users write.
    pub fn name(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Json => "json",
            Format::Syslog => "syslog",
            Format::Cef => "cef",
            Format::Leef => "leef",
            Format::Kv => "kv",
            Format::Csv => "csv",
            Format::W3c => "w3c",
            Format::Zeek => "zeek",
            Format::Auditd => "auditd",
            Format::Vpcflow => "vpcflow",
            Format::Apache => "apache",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No format has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(pub String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        write!(f, "there is no format `{}` (there are {})", self.0.escape_debug(), names.join(", "))
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_string()))
    }
}

/// How an input is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// What its lines are.
    pub format: Format,
    /// The names of the columns of `csv` and `vpcflow` where no line of the input has them; empty where one does.
    pub columns: Vec<String>,
    /// What stands between the values of `csv`; a comma where nothing is said.
    pub delimiter: Option<u8>,
    /// About when the input was written (nanoseconds since 1970): tells the year of times without one, which are
    /// left as they are where this is not known.
    pub near: Option<i64>,
}

impl Layout {
    /// This format, and nothing besides.
    pub fn of(format: Format) -> Self {
        Layout { format, ..Layout::default() }
    }

    /// The same as another format.
    pub(crate) fn with(&self, format: Format) -> Self {
        Layout { format, ..self.clone() }
    }
}
