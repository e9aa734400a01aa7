//! The diagnostics of a service's configuration, beside those of [`tripline_config`].

tripline_base::codes! {
    /// All codes of services.
    pub ALL;
    NOTHING_TO_DO = "T0510" error "no-source" "the configuration has no source"
"A service without a source would wait for ever. Add `[[source]]` with a `name` and a `kind`.";
    NO_OUTPUT = "T0511" warning "no-output" "the configuration has no output"
"Findings are kept in the store and sent nowhere. Add `[[output]]`, such as `kind = \"stdout\"`.";
    BAD_ENRICHMENT = "T0530" error "bad-enrichment" "the file of an enrichment cannot be used"
"The file is read with the rules, and again when it changes: it has to be there, in the format that `kind` and `format`
say, with the columns that are named.";
    UNKNOWN_PACK = "T0540" warning "unknown-pack" "the configuration names a pack that there is not"
"A pack is a folder of rules with a `pack.toml`. What is said of a pack that there is not changes nothing. `tripline packs`
lists those that there are.";
    UNMATCHED_OVERRIDE = "T0541" warning "unmatched-override" "an override is of no rule"
"An override names rules by their names or ids; `*` stands for any characters. One that is of no rule changes nothing: the
rule is misspelt, or gone since an upgrade. `tripline packs --rules` lists the rules that there are, and `tripline packs
diff` tells which of them an upgrade took away.";
    UNHEARD = "T0542" warning "unheard-findings" "a rule takes findings that a configuration keeps from it"
"What a rule in shadow finds is heard by rules in shadow alone, and a rule that is switched off finds nothing. A rule that
takes findings of such rules only finds nothing itself.";
    UNKNOWN_SOURCE = "T0512" error "unknown-event-source" "the configuration names an event source that nothing knows"
"Event sources are those of mappings and taxonomies, such as `aws.cloudtrail`. Leave the key out to tell the
source of each event from the event itself.";
}
