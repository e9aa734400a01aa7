//! Writes JSON to the end of a buffer: slices of the input as they are, but for what has to be escaped.

/// Values and members, one after another; whoever calls closes what was opened.
pub(crate) struct Json<'b> {
    out: &'b mut Vec<u8>,
    /// Whether a comma stands before what comes next.
    comma: bool,
}

impl<'b> Json<'b> {
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Json { out, comma: false }
    }

    /// A place to go back to.
    pub fn mark(&self) -> (usize, bool) {
        (self.out.len(), self.comma)
    }

    /// Forgets what was written since.
    pub fn back(&mut self, (length, comma): (usize, bool)) {
        self.out.truncate(length);
        self.comma = comma;
    }

    /// Begins an object.
    pub fn open(&mut self) {
        self.begin(b'{');
    }

    /// Ends an object.
    pub fn close(&mut self) {
        self.end(b'}');
    }

    /// Begins an array.
    pub fn open_array(&mut self) {
        self.begin(b'[');
    }

    /// Ends an array.
    pub fn close_array(&mut self) {
        self.end(b']');
    }

    fn begin(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    fn end(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.comma = true;
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    /// The key of the member that comes next.
    pub fn key(&mut self, key: &[u8]) {
        self.text(key);
        self.out.push(b':');
        self.comma = false;
    }

    /// A text.
    pub fn text(&mut self, text: &[u8]) {
        self.text_of([text]);
    }

    /// A text of several parts.
    pub fn text_of<'t>(&mut self, parts: impl IntoIterator<Item = &'t [u8]>) {
        self.separate();
        self.out.push(b'"');
        for part in parts {
            escape(part, self.out);
        }
        self.out.push(b'"');
    }

    /// What is JSON already.
    pub fn raw(&mut self, json: &[u8]) {
        self.separate();
        self.out.extend_from_slice(json);
    }

    /// A number as it is written, or a text where JSON has no such number.
    pub fn number(&mut self, text: &[u8]) {
        if is_number(text) { self.raw(text) } else { self.text(text) }
    }

    /// A whole number.
    pub fn int(&mut self, number: u64) {
        self.raw(number.to_string().as_bytes());
    }

    /// A member that is a text.
    pub fn field(&mut self, key: &str, text: &[u8]) {
        self.key(key.as_bytes());
        self.text(text);
    }

    /// A member that is a number, or a text where JSON has no such number.
    pub fn number_field(&mut self, key: &str, text: &[u8]) {
        self.key(key.as_bytes());
        self.number(text);
    }
}

/// Appends a text without its quotes. Bytes that are no UTF-8 stay what they are: who parses a record replaces them.
fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = text.iter().position(|byte| matches!(byte, 0..=0x1F | b'"' | b'\\')) {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        let Some((special, rest)) = rest.split_first() else { return };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        text = rest;
    }
    out.extend_from_slice(text);
}

/// Whether this is a number of JSON, and one that every reader can hold: at most 40 characters, and two digits of
/// exponent.
fn is_number(text: &[u8]) -> bool {
    if text.len() > 40 {
        return false;
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || whole > 1 && text.first() == Some(&b'0') {
        return false;
    }
    let mut rest = text.get(whole..).unwrap_or_default();
    if let Some(decimals) = rest.strip_prefix(b".") {
        let count = digits(decimals);
        if count == 0 {
            return false;
        }
        rest = decimals.get(count..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let count = digits(exponent);
        return count == exponent.len() && (1..=2).contains(&count);
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn texts_come_back(key in any::<String>(), text in any::<String>()) {
            let mut out = Vec::new();
            let mut json = Json::new(&mut out);
            json.open();
            json.field("first", b"");
            json.key(key.as_bytes());
            json.text(text.as_bytes());
            json.close();
            let back: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back.get(&key).and_then(|value| value.as_str()), Some(text.as_str()));
        }

        #[test]
        fn a_number_is_one_to_every_reader(text in "-?[0-9]{0,41}(\\.[0-9]{0,3})?([eE][-+]?[0-9]{0,3})?") {
            let read = serde_json::from_str::<f64>(&text);
            if is_number(text.as_bytes()) {
                prop_assert!(read.is_ok_and(f64::is_finite), "{}", text);
            } else if text.len() <= 40 && !text.contains(['e', 'E']) {
                prop_assert!(read.is_err(), "{}", text);
            }
        }
    }
}
