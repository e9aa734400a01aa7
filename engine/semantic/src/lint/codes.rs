//! The diagnostics of the lints: content that loads and is likely not what its author meant.

tripline_base::codes! {
    /// All codes of the lints.
    pub ALL;
    NEGATED_OPTIONAL = "T0301" warning "negated-optional" "a negated comparison also holds where the field is absent"
"`x != a` is `not (x == a)`, and a comparison with an absent value is false: so `x != a` and `x not in L`
are true of every event that has no `x` at all. Where the schema does not require the field (or it is read
from `raw`), say what you mean: `exists x and x != a` for events that have another value,
`not exists x or x != a` for those without one too.";
    UNUSED = "T0302" warning "unused" "a declaration is never used"
"Nothing refers to this list, table, definition, feature, binding or parameter. Use it or remove it; a name
that was meant elsewhere is perhaps misspelt there.";
    NEVER = "T0303" warning "never-holds" "a condition can never hold"
"No event fulfils the condition, so the rule (or this alternative of it) stays silent for ever. Usually two
tests of one field exclude each other: `x == \"a\" and x == \"b\"` wants `x in [\"a\", \"b\"]`, and a value that
has been compared is never absent. The message points at both tests. A path with `[]` may hold one value in
one element and another in the next, and is not reported for that.";
    ALWAYS = "T0304" warning "always-holds" "a condition always holds"
"Every event fulfils the condition, or this part of it, so it decides nothing. `x != \"a\" or x != \"b\"` is the
usual slip: some of the two holds whatever x is. Write `x not in [\"a\", \"b\"]`. And `raw.x in [\"0.0.0.0/0\"]` reads a
range that every address lies in: the text itself is `raw.x == \"0.0.0.0/0\"`.";
    REDUNDANT = "T0305" warning "redundant-clause" "a clause changes nothing beside another"
"Another clause says the same or more: beside `x == \"root\"` there is nothing left for `exists x` or
`x starts_with \"ro\"` to say, and in `x contains \"-e\" or x contains \"-enc\"` the second alternative is part of the
first. Remove the clause, or look whether one of the two was meant to say something else.";
    IMPLIED_RULE = "T0306" warning "implied-rule" "a rule fires on no event that another rule does not fire on"
"Every event that fires this rule fires the other one too, so each such event alerts twice. Merge the two
(`severity: critical when …` raises the special case), or take the special case out of the wider rule with
`except`. Two rules with the same condition are one rule.";
    EXPIRED = "T0307" warning "expired-exception" "an exception has expired"
"The exception's last day is over; later events are judged without it. Remove it, or have it renewed with its
reason looked at again.";
    NO_OWNER = "T0308" warning "missing-owner" "a rule has no owner"
"Nobody is named who answers for the rule when it is noisy or silent. Add `owner: \"TEAM\"`.";
    NO_ATTACK = "T0309" warning "missing-attack" "a rule names no ATT&CK technique"
"Coverage is counted by technique, and analysts sort by it. Add `attack: [T1078.004/initial-access]`; the tactic
after the slash is needed only where the technique has several. Where none fits, say so: `attack: []`.";
    NO_TEST = "T0310" warning "missing-test" "a rule or mapping has no test"
"Without a test nothing shows that the rule fires when it should and stays silent when it should, or that the
mapping still reads what the product writes. Add one `test` that expects an alert and one that expects nothing;
for a mapping, one for each kind of event.";
    PLAIN_OPERATOR = "T0311" warning "plain-operator" "a plain operator says the same as this pattern"
"The pattern asks for fixed text, which `==`, `in`, `starts_with`, `ends_with` and `contains` say more plainly;
`i'…'` ignores case. Plain operators are also what the engine indexes best. The suggestion means the same as the
pattern, letter by letter (of case, the few letters outside ASCII that fold onto ASCII ones apart).";
    UNREACHABLE = "T0312" warning "unreachable-case" "a case can never apply"
"An exception that excludes what the rule's condition demands takes nothing away; a severity or a `match` arm
whose values all belong to an earlier one is never chosen. Reorder the cases (the special one first), or mend the
condition.";
    UNREACHABLE_ARM = "T0313" warning "unreachable-arm" "an arm of a mapping can never be taken"
"Arms are tried in order and the first whose condition holds names the class. Whatever fulfils this arm's
condition has been taken by an earlier arm. Move the special arm before the general one; `otherwise` comes last.";
}
