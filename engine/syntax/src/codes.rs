//! The diagnostics of this crate: texts that cannot be read.

tripline_base::codes! {
    /// All codes of the syntax.
    pub ALL;
    SYNTAX = "T0101" error "syntax" "the text does not follow the grammar"
"The words at this place are not what the language allows here. The message lists what could stand
there; LANGUAGE shows each form with an example. The rest of the file is read all the same, so later
messages are real and not consequences of this one.";
    OPEN_STRING = "T0102" error "open-string" "a text is never closed"
"A text in `\"…\"` or `'…'` ends on its own line. Close it, or write text over several lines in
`\"\"\"…\"\"\"`. A `\"` inside `\"…\"` is written `\\\"`.";
    UNBALANCED = "T0103" error "unbalanced-bracket" "a bracket has no partner"
"Every `(`, `[` and `{` needs its partner. The message points at the one without; the mistake is
often a little before or after it.";
    TOO_DEEP = "T0104" error "nested-too-deep" "the text nests too deep to be read"
"Brackets, and `if … else if …` chains, may nest only so deep; this keeps the compiler's time and
memory bounded whatever it is given. Split the expression with a `def`, or use `match`.";
    BAD_ESCAPE = "T0105" error "unknown-escape" "a text has an escape that does not exist"
"Inside `\"…\"` the escapes are `\\n \\t \\r \\0 \\\\ \\\" \\' \\{ \\}` and `\\u{41}`. For Windows paths and regular
expressions use `'…'`, where nothing is an escape.";
    BAD_NUMBER = "T0106" error "number-out-of-range" "a number or duration is too large"
"Whole numbers have 64 bits; durations reach some 292 years.";
    BAD_TEMPLATE = "T0107" error "template" "a `{…}` in a title is not closed or is empty"
"In a title `{expr}` is replaced by the value of the expression. Write `\\{` for a brace that is only
a brace.";
    NOT_TEXT = "T0108" error "not-utf8" "the file cannot be read as UTF-8 text"
"`.trip` files are UTF-8 and at most 4 MiB. Convert the file, or split it.";
}
