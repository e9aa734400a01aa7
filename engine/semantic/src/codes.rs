//! The diagnostics of names and types.

tripline_base::codes! {
    /// All codes of names and types.
    pub ALL;
    UNKNOWN_FIELD = "T0201" error "unknown-field" "a path names an attribute that does not exist"
"The class or object that the message names has no such attribute in OCSF 1.8. The nearest name is
suggested. Where the schema has no place for what you need, read the original event with `raw.…`.";
    ARRAY_PATH = "T0202" error "array-without-brackets" "a path goes through an array without `[]`"
"An array has many elements, so a path through one says which: `resources[].uid == \"x\"` holds if it holds
for some element, `resources[0].uid` reads the first, and `any(r in resources, …)` binds one for several
tests.";
    NOT_OBJECT = "T0203" error "not-an-object" "a path goes into a value that has no fields"
"Only objects have fields, and only arrays have elements. The message names the type of what the path
goes into.";
    DUPLICATE = "T0204" error "duplicate" "a name is given twice"
"Rules, mappings, features, lists, tables and definitions each have one name in all files that are loaded
together; a header, an alert and an arm have each field once; a source has one mapping.";
    UNKNOWN_NAME = "T0205" error "unknown-name" "a word means nothing here"
"The word is no attribute of the class, no binding, no list, table, definition or feature. Text stands in
quotes.";
    TYPE_MISMATCH = "T0206" error "type-mismatch" "two values of different types meet"
"The message names both types. Text stands in quotes, numbers do not; `string(x)`, `int(x)` and the other
conversions turn one into another.";
    BAD_LITERAL = "T0207" error "bad-literal" "a literal does not fit the type it is compared with"
"A text beside an `ip`, a `cidr` or a `timestamp` is read as one when the rule is compiled: `\"203.0.113.9\"`,
`\"10.0.0.0/8\"`, `\"2026-01-31T08:00:00Z\"`.";
    UNKNOWN_CAPTION = "T0208" error "unknown-caption" "an enum has no such value"
"Attributes with captions are compared with one of their captions (or their number). The message lists the
captions that exist.";
    NOT_CONDITION = "T0209" error "not-a-condition" "a condition is not true or false"
"`where`, `when`, `and`, `or` and `not` take conditions. Compare the value with something, or ask `exists x`.";
    BAD_PATTERN = "T0210" error "bad-pattern" "a pattern cannot be used here or cannot be compiled"
"`matches` takes `re'…'`, `glob'…'` or `iglob'…'`; the other operators take plain text or `i'…'`. Regular
expressions have the syntax of Rust's `regex`: no look-around and no back-references, so that matching
takes linear time.";
    UNKNOWN_FUNCTION = "T0211" error "unknown-function" "a function does not exist"
"The functions are listed in LANGUAGE; `def` makes new ones.";
    BAD_ARGUMENTS = "T0212" error "bad-arguments" "a call has the wrong arguments"
"The message says what the function takes.";
    UNKNOWN_CLASS = "T0213" error "unknown-class" "there is no such OCSF class"
"Classes are named as in OCSF 1.8: `authentication`, `account_change`, `api_activity`, `process_activity` …";
    UNKNOWN_SOURCE = "T0214" error "unknown-source" "no mapping reads this source"
"A source is known by its mapping: `mapping NAME from SOURCE { … }`. Shipped mappings are always loaded.";
    MISSING_FIELD = "T0215" error "missing-field" "a field is missing that must be there"
"A rule has a title and looks at something: `on CLASS`, or a `sequence`. A mapping defines `time`. A `canary` has an event.";
    UNKNOWN_CLAUSE = "T0216" error "unknown-clause-field" "a header or alert has no such field"
"The fields are listed in LANGUAGE under *Header* and *The alert*.";
    BAD_VALUE = "T0217" error "bad-field-value" "a field of a header or alert has a value of the wrong kind"
"The message says what the field takes.";
    UNKNOWN_TECHNIQUE = "T0218" error "unknown-technique" "ATT&CK has no such technique or tactic"
"Techniques are written by id, with the tactic where the technique has several:
`T1078.004/initial-access`. Ids and tactics are those of ATT&CK Enterprise.";
    RETIRED_TECHNIQUE = "T0219" warning "retired-technique" "the ATT&CK technique is revoked or deprecated"
"ATT&CK no longer maintains this id; choose the technique that replaced it.";
    BAD_DATE = "T0220" error "bad-date" "a date or time does not exist"
"Dates are `YYYY-MM-DD`; times are RFC 3339, as `2026-01-31T08:00:00Z`.";
    UNREADABLE_FILE = "T0221" error "unreadable-file" "a list or table cannot be read"
"Files of lists and tables are named relative to the `.trip` file, may not leave its folder upwards, and
are UTF-8 text.";
    RECURSIVE_DEF = "T0222" error "recursive-definition" "a definition uses itself, or grows without bound"
"Definitions are inlined, so one cannot use itself, directly or through others, and all of an item's
expressions together stay below a stated size.";
    NO_SUCH_EVENTS = "T0223" warning "no-such-events" "no mapping produces the class that the rule looks at"
"The rule can never fire with the mappings that are loaded: none of them gives this class from these
sources.";
    MISPLACED = "T0224" error "misplaced" "this cannot stand here"
"Some forms have their places: mappings see only `raw.…`, aggregates such as `count()` need `group by`,
`except finding` needs a stateful rule, and features are read of one event.";
    FINDING_CYCLE = "T0225" error "finding-cycle" "rules take each other's findings in a circle"
"A rule `on finding from a` is judged after `a`. Rules that lead back to themselves could never be judged: name
the findings of rules that come before. Rules that read one feature are judged together, so none of them takes what
another of them finds, be it through further rules.";
    COMMON_UNUSED = "T0226" error "common-definition-unused" "no arm can take a common definition"
"A definition before the arms is taken by each arm whose class has the attribute. None of this mapping's
classes has it.";
    REQUIRED_MISSING = "T0227" warning "required-attribute" "an arm leaves a required attribute without a value"
"OCSF requires the attribute of this class. Define it in the arm, or in common.";
    BAD_FIXTURE = "T0228" error "bad-fixture" "a test's fixture is missing, or is no event"
"Fixtures are files with one JSON object each, looked for beside the file, then in `fixtures/` and
`testdata/events/` of its folder and of each folder above.";
    BAD_EXPECTATION = "T0229" error "bad-expectation" "a test expects something that cannot be"
"In a rule's test: `expect alert`, `expect N alerts`, `expect nothing`. Alerts may be `routed to [\"NAME\"]` and
`rendered by \"NAME\" contains \"TEXT\"`, with names of destinations. In a mapping's test: `expect CLASS { … }`. A `canary` has to give a finding of its rule, and
expects nothing else.";
    INACTIVE_DEPRECATED = "T0230" note "deprecated-attribute" "the schema advises against this attribute"
"OCSF has deprecated the attribute; a later version will drop it.";
}
