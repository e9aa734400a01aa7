//! AWS VPC flow logs: values with blanks between them, under a line of names, or in the order of version 2 where
//! nothing names them. Names are those of AWS with `_` for `-`, as its Parquet files have them; a value that is not
//! there is `-`.

use super::columns::Columns;
use super::{Out, Reason};
use crate::format::Layout;
use crate::json::Json;

/// The fields of version 2, in the order of the default format.
const DEFAULT: [&str; 14] = [
    "version",
    "account_id",
    "interface_id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log_status",
];
/// The fields of later versions.
const LATER: [&str; 28] = [
    "vpc_id",
    "subnet_id",
    "instance_id",
    "tcp_flags",
    "type",
    "pkt_srcaddr",
    "pkt_dstaddr",
    "region",
    "az_id",
    "sublocation_type",
    "sublocation_id",
    "pkt_src_aws_service",
    "pkt_dst_aws_service",
    "flow_direction",
    "traffic_path",
    "ecs_cluster_arn",
    "ecs_cluster_name",
    "ecs_container_instance_arn",
    "ecs_container_instance_id",
    "ecs_container_id",
    "ecs_second_container_id",
    "ecs_service_name",
    "ecs_task_definition_arn",
    "ecs_task_arn",
    "ecs_task_id",
    "reject_reason",
    "resource_id",
    "encryption_status",
];
/// Fields that are numbers by AWS's description.
const NUMBERS: [&str; 10] =
    ["version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp_flags", "traffic_path"];

/// What is known between two lines.
pub(super) struct Rows {
    columns: Columns,
    /// Which columns are numbers.
    numbers: Vec<bool>,
}

impl Rows {
    pub fn new(layout: &Layout) -> Self {
        let mut rows = Rows { columns: Columns::default(), numbers: Vec::new() };
        if layout.columns.is_empty() {
            let names = DEFAULT.iter().map(|name| name.as_bytes());
            rows.begin(Columns::new(0, b"", names).unwrap_or_default());
        } else {
            let names: Vec<String> = layout.columns.iter().map(|name| name.replace('-', "_")).collect();
            rows.begin(Columns::given(&names));
        }
        rows
    }

    fn begin(&mut self, columns: Columns) {
        self.numbers = columns.names.iter().map(|name| NUMBERS.iter().any(|n| n.as_bytes() == name)).collect();
        self.columns = columns;
    }

    pub fn kept(&self) -> Vec<(u64, &[u8])> {
        self.columns.kept()
    }

    pub fn line(&mut self, line: u64, text: &[u8], out: &mut Out<'_>) {
        if is_header(text) {
            let names: Vec<Vec<u8>> = words(text).map(underscored).collect();
            match Columns::new(line, text, names.iter().map(Vec::as_slice)) {
                Ok(columns) => self.begin(columns),
                Err(reason) => out.reject(line, text, reason),
            }
            return;
        }
        out.event(line, text, |json| self.write(text, json));
    }

    fn write(&self, text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
        let mut count = 0;
        let mut columns = self.columns.names.iter().zip(&self.numbers);
        for value in words(text) {
            count += 1;
            let Some((name, number)) = columns.next() else { continue };
            if value == b"-" {
                continue;
            }
            json.key(name);
            if *number {
                json.number(value);
            } else {
                json.text(value);
            }
        }
        if count == self.columns.names.len() { Ok(()) } else { Err(self.columns.wrong(count)) }
    }
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn underscored(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect()
}

/// Whether a line has names of fields and nothing else; no row has.
pub(super) fn is_header(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_lowercase)
        && words(text).count() > 1
        && words(text).all(|word| {
            let word = underscored(word.get(..40).unwrap_or(word));
            DEFAULT.iter().chain(&LATER).any(|name| name.as_bytes() == word)
        })
}

/// Whether a line is surely a row of version 2.
pub(super) fn is_default_row(text: &[u8]) -> bool {
    let words: Vec<&[u8]> = words(text).take(DEFAULT.len() + 1).collect();
    let at = |n: usize| words.get(n).copied().unwrap_or_default();
    words.len() == DEFAULT.len()
        && at(0) == b"2"
        && (at(1) == b"unknown" || at(1).len() == 12 && at(1).iter().all(u8::is_ascii_digit))
        && matches!(at(13), b"OK" | b"NODATA" | b"SKIPDATA")
}
