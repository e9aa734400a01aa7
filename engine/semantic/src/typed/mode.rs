//! Whether a rule is evaluated, and whether anybody hears of what it finds.

/// What becomes of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is evaluated, and told.
    #[default]
    On,
    /// It is evaluated and counted; what it finds is kept, and told to nobody.
    Shadow,
    /// It is not evaluated.
    Off,
}

impl Mode {
    /// Its name in configurations and reports.
    pub fn name(self) -> &'static str {
        match self {
            Mode::On => "on",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }

    /// Whether a rule of this mode takes findings of a rule of another: what is in shadow is heard in shadow alone.
    pub fn hears(self, other: Mode) -> bool {
        match other {
            Mode::On => true,
            Mode::Shadow => self == Mode::Shadow,
            Mode::Off => false,
        }
    }
}
