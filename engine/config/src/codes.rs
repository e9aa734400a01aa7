//! The diagnostics of any configuration, whatever it is for.

tripline_base::codes! {
    /// All codes of configurations.
    pub ALL;
    NOT_TOML = "T0501" error "not-toml" "the configuration is not TOML"
"A configuration is a TOML file. Texts stand in quotes, tables in `[…]`, each of several sources or outputs
begins with `[[source]]` or `[[output]]`.";
    UNKNOWN_KEY = "T0502" error "unknown-config-key" "the configuration has a key that does not exist"
"RUN lists every key with what it means. A key that nothing reads would be a setting that has no effect.";
    WRONG_TYPE = "T0503" error "wrong-config-type" "a value of the configuration has the wrong type"
"The message says what the key takes. Durations and sizes are texts with a unit: `\"200ms\"`, `\"5m\"`,
`\"16MiB\"`.";
    BAD_VALUE = "T0504" error "bad-config-value" "a value of the configuration cannot be used"
"The message says what the key takes and what its bounds are.";
    MISSING_KEY = "T0505" error "missing-config-key" "the configuration lacks a key"
"The table that is underlined cannot be used without this key.";
    NAME_TWICE = "T0506" error "config-name-twice" "two sources or two outputs have one name"
"What was read and what was sent is kept under the name, so each has its own.";
    WRITTEN_SECRET = "T0508" error "written-secret" "a secret is written into the configuration"
"Configurations are copied, shown and committed. Name where the secret is kept instead: `{ env = \"NAME\" }` for an
environment variable, `{ file = \"PATH\" }` for a file that holds it.";
    NO_SECRET = "T0509" error "no-secret" "a secret is not where the configuration says"
"The environment variable is not set, or the file cannot be read, is empty or larger than 64 KiB. White space
around the secret is left out.";
}
