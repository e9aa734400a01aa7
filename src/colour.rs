//! When to colour: on a terminal, unless the person said otherwise.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use tripline_base::terminal::Colour;

/// Whether to colour standard output.
pub fn stdout() -> Colour {
    of(std::io::stdout().is_terminal(), |name| std::env::var_os(name))
}

/// Whether to colour standard error.
pub fn stderr() -> Colour {
    of(std::io::stderr().is_terminal(), |name| std::env::var_os(name))
}

/// `NO_COLOR` set: never; else `CLICOLOR_FORCE` set, and not to 0: always; else where a terminal reads.
fn of(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Colour {
    let set = |name| variable(name).is_some_and(|value| !value.is_empty());
    let forced = set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    if !set("NO_COLOR") && (forced || terminal) { Colour::Always } else { Colour::Never }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_wins_over_what_reads() {
        let with = |terminal, set: &'static [(&'static str, &'static str)]| {
            of(terminal, |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).into()))
        };
        assert_eq!(with(true, &[]), Colour::Always);
        assert_eq!(with(false, &[]), Colour::Never);
        assert_eq!(with(true, &[("NO_COLOR", "1")]), Colour::Never);
        assert_eq!(with(true, &[("NO_COLOR", "")]), Colour::Always);
        assert_eq!(with(false, &[("CLICOLOR_FORCE", "1")]), Colour::Always);
        assert_eq!(with(false, &[("CLICOLOR_FORCE", "0")]), Colour::Never);
        assert_eq!(with(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), Colour::Never);
    }
}
