//! The vocabulary of English numbers: a word in, its part in a number out.

/// What a word can do in a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word {
    /// `zero`, `oh`, `o`.
    Zero,
    /// `one` … `nineteen`.
    One(i128),
    /// The plural or ordinal of a [`Word::One`] with the ending of its digits: `sixes`, `third`.
    OneWith(i128, &'static str),
    /// `twenty` … `ninety`.
    Ten(i128),
    /// `sixties`, `twentieth`.
    TenWith(i128, &'static str),
    /// `hundred` … `decillion`.
    Multiplier(i128),
    /// `thousands`, `millionth`.
    MultiplierWith(i128, &'static str),
    /// `minus`, `plus`: written before the number that follows.
    Sign(char),
    /// `dollars`, `cents`: written before the number that was spoken before it.
    Currency(char),
    /// `per`, of `per cent`.
    Per,
    /// `percent`.
    Percent,
    /// `and`.
    And,
    /// `double` and `triple`: the digit that follows, so many times.
    Repeat(usize),
    /// `point`.
    Point,
    /// Nothing of a number.
    Other,
}

const ONES: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Names of the powers of a thousand from the first.
const POWERS: [&str; 11] = [
    "thousand",
    "million",
    "billion",
    "trillion",
    "quadrillion",
    "quintillion",
    "sextillion",
    "septillion",
    "octillion",
    "nonillion",
    "decillion",
];

impl Word {
    /// Looks a lower-case word up.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "o" | "oh" | "zero" => Self::Zero,
            "minus" | "negative" => Self::Sign('-'),
            "plus" | "positive" => Self::Sign('+'),
            "pound" | "pounds" => Self::Currency('£'),
            "euro" | "euros" => Self::Currency('€'),
            "dollar" | "dollars" => Self::Currency('$'),
            "cent" | "cents" => Self::Currency('¢'),
            "per" => Self::Per,
            "percent" => Self::Percent,
            "and" => Self::And,
            "double" => Self::Repeat(2),
            "triple" => Self::Repeat(3),
            "point" => Self::Point,
            _ => one(word).or_else(|| ten(word)).or_else(|| multiplier(word)).unwrap_or(Self::Other),
        }
    }

    /// Whether the word has a part in numbers at all.
    pub(super) fn is_numeric(self) -> bool {
        self != Self::Other
    }

    /// Whether the word may follow `point`.
    pub(super) fn is_decimal(self) -> bool {
        matches!(self, Self::Zero | Self::One(_) | Self::Ten(_))
    }
}

/// The position of `name` in `names`.
fn place(names: &[&str], name: &str) -> Option<i128> {
    names.iter().position(|candidate| *candidate == name).map(|i| i as i128)
}

/// Below twenty: cardinals, plurals and ordinals.
fn one(word: &str) -> Option<Word> {
    let value = |name: &str| place(&ONES, name).map(|i| i + 1);
    let irregular = match word {
        "zeroth" => Some((0, "th")),
        "first" => Some((1, "st")),
        "second" => Some((2, "nd")),
        "third" => Some((3, "rd")),
        "fifth" => Some((5, "th")),
        "eighth" => Some((8, "th")),
        "twelfth" => Some((12, "th")),
        "sixes" => Some((6, "s")),
        _ => None,
    };
    if let Some((value, ending)) = irregular {
        return Some(Word::OneWith(value, ending));
    }
    if let Some(value) = value(word) {
        return Some(Word::One(value));
    }
    if let Some(value) = word.strip_suffix('s').and_then(value).filter(|value| *value != 6) {
        return Some(Word::OneWith(value, "s"));
    }
    let regular = |value: &i128| *value > 3 && ![5, 8, 12].contains(value);
    let value = word.strip_suffix("th").and_then(value).filter(regular)?;
    Some(Word::OneWith(value, "th"))
}

/// Twenty to ninety: cardinals, plurals and ordinals.
fn ten(word: &str) -> Option<Word> {
    let value = |name: &str| place(&TENS, name).map(|i| (i + 2) * 10);
    if let Some(value) = value(word) {
        return Some(Word::Ten(value));
    }
    let (stem, ending) = word
        .strip_suffix("ieth")
        .map(|stem| (stem, "th"))
        .or_else(|| word.strip_suffix("ies").map(|stem| (stem, "s")))?;
    Some(Word::TenWith(value(&format!("{stem}y"))?, ending))
}

/// Hundred and the powers of a thousand: cardinals, plurals and ordinals.
fn multiplier(word: &str) -> Option<Word> {
    let value = |name: &str| match name {
        "hundred" => Some(100),
        _ => place(&POWERS, name).map(|i| 1000_i128.pow(i as u32 + 1)),
    };
    if let Some(value) = value(word) {
        return Some(Word::Multiplier(value));
    }
    let (stem, ending) =
        word.strip_suffix("th").map(|stem| (stem, "th")).or_else(|| word.strip_suffix('s').map(|stem| (stem, "s")))?;
    Some(Word::MultiplierWith(value(stem)?, ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_found() {
        assert_eq!(Word::of("sixes"), Word::OneWith(6, "s"));
        assert_eq!(Word::of("sixs"), Word::Other);
        assert_eq!(Word::of("ninth"), Word::Other);
        assert_eq!(Word::of("nineth"), Word::OneWith(9, "th"));
        assert_eq!(Word::of("eighth"), Word::OneWith(8, "th"));
        assert_eq!(Word::of("fortieth"), Word::TenWith(40, "th"));
        assert_eq!(Word::of("nineties"), Word::TenWith(90, "s"));
        assert_eq!(Word::of("millionth"), Word::MultiplierWith(1_000_000, "th"));
        assert_eq!(Word::of("hundreds"), Word::MultiplierWith(100, "s"));
        assert_eq!(Word::of("people"), Word::Other);
    }
}
