//! The log of the Linux audit system. The records of one event, which `msg=audit(TIME:NUMBER)` joins, become one
//! object; what the audit system wrote in hexadecimal digits is text again.
//!
//! An event is whole with the record that the kernel writes last (`PROCTITLE`, `EOE`), and where it is of a kind that
//! has one record only. One that never ends waits for a bounded number of lines and of bytes.

mod record;
mod value;

use std::collections::VecDeque;

use record::{Head, head};

use super::Out;

/// How many events wait at most for further records.
const MOST_WAITING: usize = 64;
/// For how many lines one waits at most.
const LONGEST_WAIT: u64 = 1000;
/// For how long one waits by the times of later events, in milliseconds; what auparse waits, too.
const LONGEST_TIME: u64 = 2000;
/// How many bytes of records wait at most.
const MOST_BYTES: usize = 1 << 20;

/// Events that wait for records, the oldest first.
#[derive(Default)]
pub(super) struct Events {
    waiting: VecDeque<Event>,
    bytes: usize,
    /// Whether it is fed what waited elsewhere: all of that waits on.
    takes_over: bool,
}

/// The records of an event, as they came.
struct Event {
    node: Vec<u8>,
    stamp: Vec<u8>,
    millis: u64,
    /// The line that it begins on, and the line of its last record.
    line: u64,
    last: u64,
    /// The records, each with an end of line; and the line of each.
    text: Vec<u8>,
    lines: Vec<u64>,
}

impl Events {
    /// Says whether what comes now waited elsewhere.
    pub fn take_over(&mut self, begins: bool) {
        self.takes_over = begins;
    }

    pub fn kept(&self) -> Vec<(u64, &[u8])> {
        let mut kept: Vec<(u64, &[u8])> = Vec::new();
        for event in &self.waiting {
            kept.extend(event.lines.iter().copied().zip(event.text.split(|byte| *byte == b'\n')));
        }
        // As they came: who is fed them again lets the same events wait.
        kept.sort_unstable_by_key(|(line, _)| *line);
        kept
    }

    pub fn line(&mut self, line: u64, text: &[u8], out: &mut Out<'_>) {
        let Some(head) = head(text) else {
            out.reject(line, text, "a record of the audit log begins with `type=NAME msg=audit(TIME:NUMBER):`".into());
            return;
        };
        let found = self.waiting.iter().position(|event| event.stamp == head.stamp && event.node == head.node);
        if found.is_none() {
            if !self.takes_over {
                self.release(&head, line, out);
            }
            if !head.has_several {
                let event = Event::new(&head, line, text);
                event.write(out);
                return;
            }
            self.waiting.push_back(Event::new(&head, line, b""));
        }
        let at = found.unwrap_or(self.waiting.len().saturating_sub(1));
        if let Some(event) = self.waiting.get_mut(at) {
            event.last = line;
            event.text.extend_from_slice(text);
            event.text.push(b'\n');
            event.lines.push(line);
            self.bytes += text.len() + 1;
        }
        if head.is_last {
            self.end(at, out);
        }
        while self.bytes > MOST_BYTES && !self.waiting.is_empty() {
            self.end(0, out);
        }
    }

    /// Ends what waited long enough when an event begins.
    fn release(&mut self, head: &Head<'_>, line: u64, out: &mut Out<'_>) {
        while let Some(first) = self.waiting.front() {
            let old = head.millis > first.millis.saturating_add(LONGEST_TIME) && head.node == first.node;
            if !old && self.waiting.len() < MOST_WAITING && line <= first.last.saturating_add(LONGEST_WAIT) {
                break;
            }
            self.end(0, out);
        }
    }

    fn end(&mut self, at: usize, out: &mut Out<'_>) {
        if let Some(event) = self.waiting.remove(at) {
            self.bytes = self.bytes.saturating_sub(event.text.len());
            event.write(out);
        }
    }

    /// There are no more lines.
    pub fn finish(&mut self, out: &mut Out<'_>) {
        while !self.waiting.is_empty() {
            self.end(0, out);
        }
    }
}

impl Event {
    fn new(head: &Head<'_>, line: u64, text: &[u8]) -> Self {
        Event {
            node: head.node.to_vec(),
            stamp: head.stamp.to_vec(),
            millis: head.millis,
            line,
            last: line,
            text: text.to_vec(),
            lines: Vec::new(),
        }
    }

    fn write(&self, out: &mut Out<'_>) {
        out.event(self.line, &self.text, |json| {
            record::members(&self.text, json);
            Ok(())
        });
    }
}

/// Whether a line is a record.
pub(super) fn is(text: &[u8]) -> bool {
    head(text).is_some()
}
