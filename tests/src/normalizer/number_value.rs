//! A number while its words come in: digits and words in, the value so far out.

use std::fmt;

/// A number as far as it has been spoken.
///
/// Values that are counted up (`two hundred` + `five`) are integers. Once digits are read one after another
/// (`one oh one`), or after a decimal point, the value is text that only grows at its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A value that can be added to and multiplied.
    Integer(i128),
    /// Digits as they were read, perhaps with a point.
    Text(String),
}

impl Value {
    /// The value of digits with or without decimals; `None` for anything else.
    pub(super) fn of_literal(text: &str) -> Option<Self> {
        let is_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if !is_digits(whole) || !is_digits(decimals) {
            return None;
        }
        let is_whole = decimals.bytes().all(|b| b == b'0');
        match whole.parse() {
            Ok(value) if is_whole => Some(Self::Integer(value)),
            _ => Some(Self::Text(text.to_string())),
        }
    }

    /// What follows `value` when more digits are read after it; nothing and zero leave no trace.
    pub(super) fn append(value: Option<Self>, digits: &str) -> Self {
        let before = match value {
            None | Some(Self::Integer(0)) => String::new(),
            Some(value) => value.to_string(),
        };
        Self::Text(before + digits)
    }

    /// Whether a decimal point was the last thing read.
    pub(super) fn ends_with_point(&self) -> bool {
        matches!(self, Self::Text(text) if text.ends_with('.'))
    }

    /// `value` and then a word from `one` to `nineteen`, after another such word or after one of the tens.
    pub(super) fn then_one(value: Option<Self>, one: i128, after_one: bool, after_ten: bool) -> Self {
        let places = if one < 10 { 10 } else { 100 };
        match value {
            None => Self::Integer(one),
            Some(Self::Integer(value)) if !after_one && value % places == 0 => Self::Integer(value + one),
            Some(Self::Text(text)) if after_ten && one < 10 => {
                // The tens wrote a zero where this digit belongs.
                let stem = text.strip_suffix('0').unwrap_or(&text);
                Self::Text(format!("{stem}{one}"))
            }
            Some(value) => Self::Text(format!("{value}{one}")),
        }
    }

    /// `value` and then a word from `twenty` to `ninety`.
    pub(super) fn then_ten(value: Option<Self>, ten: i128) -> Self {
        match value {
            None => Self::Integer(ten),
            Some(Self::Integer(value)) if value % 100 == 0 => Self::Integer(value + ten),
            Some(value) => Self::Text(format!("{value}{ten}")),
        }
    }

    /// `value` and then `hundred`, `thousand` …; gives the value back where it can't be multiplied.
    pub(super) fn times(value: Option<Self>, multiplier: i128) -> Result<Self, Self> {
        match value {
            None => Ok(Self::Integer(multiplier)),
            // Only what came after the last thousand is multiplied: two thousand three hundred.
            Some(Self::Integer(value)) => (value % 1000)
                .checked_mul(multiplier)
                .and_then(|product| product.checked_add(value / 1000 * 1000))
                .map(Self::Integer)
                .ok_or(Self::Integer(value)),
            Some(Self::Text(text)) => match multiply_decimal(&text, multiplier) {
                Some(product) => Ok(Self::Integer(product)),
                None => Err(Self::Text(text)),
            },
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A decimal number times a whole one, where the product is whole.
fn multiply_decimal(text: &str, multiplier: i128) -> Option<i128> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{decimals}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let numerator = digits.parse::<i128>().ok()?.checked_mul(multiplier)?;
    let denominator = 10_i128.checked_pow(decimals.len() as u32)?;
    (numerator % denominator == 0).then_some(numerator / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_multiplied_where_the_product_is_whole() {
        assert_eq!(multiply_decimal("2.5", 1000), Some(2500));
        assert_eq!(multiply_decimal(".25", 100), Some(25));
        assert_eq!(multiply_decimal("3.", 100), Some(300));
        assert_eq!(multiply_decimal("2.125", 100), None);
        assert_eq!(multiply_decimal("10.0.0", 100), None);
    }

    #[test]
    fn literals_are_whole_where_their_decimals_are_zero() {
        assert_eq!(Value::of_literal("007"), Some(Value::Integer(7)));
        assert_eq!(Value::of_literal("3.00"), Some(Value::Integer(3)));
        assert_eq!(Value::of_literal("3.10"), Some(Value::Text("3.10".into())));
        for no_number in ["", ".", "3.", ".5", "1960s", "1.2.3"] {
            assert_eq!(Value::of_literal(no_number), None);
        }
    }
}
