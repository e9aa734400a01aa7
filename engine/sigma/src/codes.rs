//! The diagnostics of Sigma files.

tripline_base::codes! {
    /// All codes of Sigma files.
    pub ALL;
    YAML = "T0401" error "yaml" "a document is not YAML"
"A Sigma file is YAML: one document for each rule, cut apart by lines of `---`. The other documents of the
file are read all the same. A value that begins with `*`, `%`, `@`, `[` or `{`, or holds `: `, stands in quotes.";
    YAML_BOUND = "T0402" error "yaml-bound" "a file is larger than can be read"
"A file has at most 4 MiB, its collections nest at most 64 deep, and it holds at most 100,000 values once
its aliases are expanded. This keeps time and memory bounded whatever a file says.";
    DUPLICATE_KEY = "T0403" warning "duplicate-key" "a map has a key twice"
"Of two equal keys in one map only the last counts, so what the first one asks for is lost. To ask for both,
write `Field|contains|all` with a list, or put each into a search identifier of its own.";
    NOT_SIGMA = "T0404" error "not-sigma" "a document is no Sigma rule, correlation or filter"
"A rule has `logsource` and `detection`, a correlation has `correlation`, a filter has `logsource` and
`filter`. The message says what is missing.";
    BAD_ATTRIBUTE = "T0405" warning "bad-attribute" "an attribute of a rule has a value that it cannot have"
"The rule still runs; the attribute is left out. Levels are `informational`, `low`, `medium`, `high` and
`critical`; statuses are `stable`, `test`, `experimental`, `deprecated` and `unsupported`; an `id` is a UUID.";
    BAD_DETECTION = "T0406" error "bad-detection" "a search identifier cannot be read"
"A search identifier is a map of fields to values, a list of such maps, or a list of words to look for
anywhere in the event. A value is text, a number, a truth value, `null`, or a list of these.";
    UNKNOWN_MODIFIER = "T0407" error "unknown-modifier" "a field has a modifier that does not exist"
"Modifiers follow the field after `|`: `contains`, `startswith`, `endswith`, `all`, `cased`, `exists`, `re` (with
`i`, `m`, `s`), `cidr`, `lt`, `lte`, `gt`, `gte`, `neq`, `base64`, `base64offset`, `utf16`, `utf16le`, `utf16be`, `wide`,
`windash`, `fieldref`, `expand`, `minute`, `hour`, `day`, `week`, `month` and `year`.";
    MODIFIER_ORDER = "T0408" error "modifier-order" "a modifier cannot follow the one before it"
"Modifiers are applied from left to right, and each takes what the one before it made: `re`, `cidr` and
`exists` come first, `wide` and `utf16` come before `base64` or `base64offset`, and `contains` comes after these.";
    BAD_VALUE = "T0409" error "bad-value" "a value does not fit its modifier"
"`cidr` takes networks, `exists` takes `true` or `false`, `lt` and the other comparisons take numbers, `base64`
takes text without wildcards, `windash` takes at most three dashes in one value.";
    UNQUOTED_NUMBER = "T0410" warning "unquoted-number" "a number stands where text is meant, or the other way round"
"The modifier works on text, and the value is read as a number without quotes (or as text, because of them).
It is taken as the modifier needs it; other tools refuse the rule.";
    BAD_REGEX = "T0411" error "bad-regex" "a regular expression cannot be compiled"
"Patterns are tried as Rust's `regex` first, which takes linear time, then with look-around and
back-references. Neither can read this one.";
    PLACEHOLDER = "T0412" warning "unresolved-placeholder" "a placeholder has no value"
"`%name%` under the modifier `expand` stands for values that your environment knows. Give them in a
processing pipeline (`value_placeholders` with `vars`). Until then the values with this placeholder match
nothing, and a search that needs them stays silent.";
    BAD_CONDITION = "T0413" error "bad-condition" "a condition cannot be read"
"A condition joins search identifiers with `and`, `or`, `not` and parentheses, and takes several with
`1 of name*`, `all of name*`, `1 of them` and `all of them`.";
    UNKNOWN_IDENTIFIER = "T0414" error "unknown-identifier" "a condition names a search identifier that does not exist"
"Each word of a condition is a search identifier of the same `detection`. In `1 of` and `all of` a `*` stands
for any characters, and identifiers that begin with `_` are left out of `them`.";
    AGGREGATION = "T0415" error "deprecated-aggregation" "a condition aggregates with a pipe"
"`selection | count() by x > 5` is no longer part of Sigma. Write the search as a rule of its own, and a
correlation of the type `event_count` or `value_count` beside it.";
    UNUSED_IDENTIFIER = "T0416" note "unused-identifier" "a search identifier is not used by the condition"
"No condition of the rule names it. This is often a misspelt pattern in `1 of …`.";
    NO_TAXONOMY = "T0417" note "unknown-logsource" "no taxonomy knows this log source"
"No taxonomy file says which events a rule of this log source looks at. The rule is loaded and sees the
events that you name with `--source`. Add a `[[logsource]]` entry to a taxonomy to route events by content.";
    BAD_LOGSOURCE = "T0418" error "bad-logsource" "a log source cannot be read"
"`logsource` is a map with at least one of `product`, `category` and `service`, each one word of text.";
    TOO_LARGE = "T0419" error "rule-too-large" "a rule grows without bound"
"Searches that a condition names several times, dashes and log sources with other field names multiply what
a rule has to ask. This rule comes to more than 100,000 parts.";
    BAD_CORRELATION = "T0420" error "bad-correlation" "a correlation cannot be read"
"A correlation has `type`, `rules`, `timespan` and, except for temporal ones, `condition`. The message says what
is missing or wrong.";
    UNKNOWN_RULE = "T0421" error "unknown-rule" "no rule has this id or name"
"Correlations and filters name rules by `id` or `name`, in all files that are loaded together.";
    CORRELATION_CYCLE = "T0422" error "correlation-cycle" "a correlation waits for itself"
"A correlation may count the results of another one, but not, through any number of others, its own.";
    CORRELATION_CANNOT_RUN = "T0423" error "correlation-cannot-run" "a correlation cannot be evaluated"
"Something that the correlation needs is not there: a rule that it names has an error, a correlation that it
names has no such field in its `group-by`, or its condition over rules has `not`, or for `temporal_ordered`
`or`. Its rules run on their own, as if it were not there.";
    BAD_FILTER = "T0424" error "bad-filter" "a filter cannot be read"
"A filter has `logsource` and, under `filter`, `rules` (a list of ids or names, or `any`), search identifiers and
one `condition`.";
    FILTER_UNUSED = "T0425" warning "filter-applies-to-nothing" "a filter applies to no rule"
"The filter's rules were found, but none of them has its log source, so that nothing is filtered.";
    BAD_PIPELINE = "T0426" error "bad-pipeline" "a processing pipeline cannot be read"
"A pipeline has `transformations`, each with a `type` and what that type takes, and may have `name`, `priority`
and `vars`.";
    UNKNOWN_TRANSFORMATION = "T0427" error "unknown-transformation" "a processing pipeline has a step that this version does not know"
"The message names the transformation or the condition. The pipeline is not applied.";
    PIPELINE_FAILURE = "T0428" error "pipeline-refuses" "a processing pipeline refuses a rule"
"A `rule_failure` or `detection_item_failure` of the pipeline applies to this rule, so it is left out. The
message is the pipeline's.";
    PIPELINE_IGNORED = "T0429" note "pipeline-step-ignored" "a step of a processing pipeline does nothing here"
"The step prepares queries of another product and has no meaning for events that are judged here.";
    DUPLICATE_RULE = "T0430" warning "duplicate-rule-id" "two rules have one id"
"Both rules run. What names the id, such as a correlation or filter, means the first.";
    TAXONOMY = "T0431" error "bad-taxonomy" "a taxonomy file cannot be read"
"A taxonomy is TOML with `[[source]]` and `[[logsource]]` tables; `connectors/taxonomy/windows.toml` shows each
key. The message names the key and the reason.";
}
