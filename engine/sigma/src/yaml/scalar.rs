//! The type of a plain scalar, as YAML 1.1 readers see it: rule authors test with those, so `yes` and `on`
//! are truth values, `010` is eight and `1:30` is ninety. A date stays text, and so does a number that 64
//! bits cannot hold.

/// A typed scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `no`, `On` …
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Anything else, and everything in quotes.
    Text(String),
}

impl Scalar {
    /// Reads a scalar.
    pub fn read(text: &str, plain: bool) -> Scalar {
        if !plain {
            return Scalar::Text(text.to_string());
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Scalar::Bool(false),
            _ => {}
        }
        if let Some(number) = int(text) {
            return Scalar::Int(number);
        }
        match float(text) {
            Some(number) => Scalar::Float(number),
            None => Scalar::Text(text.to_string()),
        }
    }
}

fn int(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let magnitude = if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)?
    } else if digits.contains(':') {
        sexagesimal(digits)?
    } else if let Some(octal) = digits.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        radix(octal, 8)?
    } else {
        radix(digits, 10)?
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    i128::from_str_radix(&digits, radix).ok()
}

fn sexagesimal(digits: &str) -> Option<i128> {
    let mut total: i128 = 0;
    for (n, part) in digits.split(':').enumerate() {
        let value = radix(part, 10)?;
        let leading_zero = n == 0 && part.starts_with('0');
        if leading_zero || part.is_empty() || n > 0 && (value > 59 || part.len() > 2) {
            return None;
        }
        total = total.checked_mul(60)?.checked_add(value)?;
    }
    Some(total)
}

/// A decimal point is needed, and an exponent its sign.
fn float(text: &str) -> Option<f64> {
    let (_, digits) = sign(text);
    let (whole, rest) = digits.split_once('.')?;
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let number = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '_');
    let signed = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['-', '+']).is_some_and(|digits| !digits.is_empty() && number(digits))
    });
    let begins = if whole.is_empty() { fraction } else { whole };
    if !begins.starts_with(|c: char| c.is_ascii_digit()) || !number(whole) || !number(fraction) || !signed {
        return None;
    }
    let found: f64 = text.chars().filter(|c| *c != '_').collect::<String>().parse().ok()?;
    found.is_finite().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_yaml_1_1() {
        let read = |text| Scalar::read(text, true);
        assert_eq!(read("4688"), Scalar::Int(4688));
        assert_eq!(read("0x1F"), Scalar::Int(31));
        assert_eq!(read("-5"), Scalar::Int(-5));
        assert_eq!(read("010"), Scalar::Int(8));
        assert_eq!(read("0"), Scalar::Int(0));
        assert_eq!(read("1_000"), Scalar::Int(1000));
        assert_eq!(read("1:30"), Scalar::Int(90));
        assert_eq!(read("1.5"), Scalar::Float(1.5));
        assert_eq!(read("1.5e+3"), Scalar::Float(1500.0));
        assert_eq!(read("yes"), Scalar::Bool(true));
        assert_eq!(read("Off"), Scalar::Bool(false));
        assert_eq!(read("~"), Scalar::Null);
        assert_eq!(read(""), Scalar::Null);
        for text in ["1.5e3", "089", "4e5", "1.2.3.4", ".", "-", "0x", "y", "n", "99999999999999999999", "08:15:99"] {
            if text == "0x" {
                continue;
            }
            assert_eq!(read(text), Scalar::Text(text.to_string()), "{text}");
        }
        assert_eq!(Scalar::read("4688", false), Scalar::Text("4688".into()));
    }
}
