//! Spoken numbers to digits: `twenty five dollars` in, `$25` out.
//!
//! Words come in one by one, with a look at both neighbours. A number grows in a [`Value`] until a word comes that
//! can't belong to it.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::number_value::Value;
use super::number_words::Word;
use super::pattern;

pattern!(AND_A_HALF, r"\band\s+a\s+half\b");
pattern!(LETTER_DIGIT, r"([a-z])([0-9])");
pattern!(DIGIT_LETTER, r"([0-9])([a-z])");
pattern!(LOOSE_ENDING, r"([0-9])\s+(st|nd|rd|th|s)\b");
pattern!(MONEY_AND_CENTS, r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b");
pattern!(ONLY_CENTS, r"[€£$]0.([0-9]{1,2})\b");
pattern!(LONE_ONE, r"\b1(s?)\b");

/// Lower-case text with the numbers in it as digits.
pub(super) fn normalize(text: &str) -> String {
    let text = prepare(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut reader = Reader::default();
    let mut position = 0;
    while position < words.len() {
        let neighbour = |i: Option<usize>| i.and_then(|i| words.get(i)).copied();
        let previous = neighbour(position.checked_sub(1));
        let next = neighbour(Some(position + 1));
        position += reader.read(previous, words[position], next);
    }
    reader.finish();
    polish(&reader.out.join(" "))
}

/// Makes `and a half` a decimal and puts spaces between letters and digits, except before the ending of a number.
fn prepare(text: &str) -> String {
    let segments: Vec<&str> = AND_A_HALF.split(text).collect();
    let mut parts = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        let Some(last_word) = segment.split_whitespace().next_back() else {
            continue;
        };
        parts.push(*segment);
        if i + 1 < segments.len() {
            let word = Word::of(last_word);
            let counts = word.is_decimal() || matches!(word, Word::Multiplier(_));
            parts.push(if counts { "point five" } else { "and a half" });
        }
    }
    let text = parts.join(" ");
    let text = LETTER_DIGIT.replace_all(&text, "${1} ${2}");
    let text = DIGIT_LETTER.replace_all(&text, "${1} ${2}");
    LOOSE_ENDING.replace_all(&text, "${1}${2}").into_owned()
}

/// Joins money and cents, and writes a lone 1 as a word.
fn polish(text: &str) -> String {
    let cents = |captures: &Captures<'_>, group: usize| captures[group].parse::<u8>().unwrap_or_default();
    let text = MONEY_AND_CENTS.replace_all(text, |c: &Captures<'_>| format!("{}{}.{:02}", &c[1], &c[2], cents(c, 3)));
    let text = ONLY_CENTS.replace_all(&text, |c: &Captures<'_>| format!("¢{}", cents(c, 1)));
    LONE_ONE.replace_all(&text, "one${1}").into_owned()
}

/// Whether a word is digits, perhaps with decimals.
fn is_literal(word: Option<&str>) -> bool {
    word.is_some_and(|word| Value::of_literal(word).is_some())
}

/// A literal's sign or currency symbol and the rest of it.
fn split_symbol(word: &str) -> (Option<char>, &str) {
    match word.chars().next() {
        Some(symbol) if "-+£€$¢".contains(symbol) => (Some(symbol), &word[symbol.len_utf8()..]),
        _ => (None, word),
    }
}

/// Reads words into numbers.
#[derive(Default)]
struct Reader {
    /// Written before the next thing that is put out.
    prefix: Option<char>,
    /// The number so far.
    value: Option<Value>,
    /// Words and numbers that are done.
    out: Vec<String>,
}

impl Reader {
    /// Puts out the number so far, if there is one.
    fn finish(&mut self) {
        if let Some(value) = self.value.take() {
            self.emit(&value.to_string());
        }
    }

    /// Puts out a word or a number.
    fn emit(&mut self, text: &str) {
        let prefix = self.prefix.take().map(String::from).unwrap_or_default();
        self.out.push(prefix + text);
        self.value = None;
    }

    /// Takes `current`, and perhaps `next` with it; gives the number of words taken.
    fn read(&mut self, previous: Option<&str>, current: &str, next: Option<&str>) -> usize {
        let (symbol, digits) = split_symbol(current);
        if let Some(literal) = Value::of_literal(digits) {
            self.read_literal(current, symbol, literal);
            return 1;
        }
        let before = previous.map_or(Word::Other, Word::of);
        let after = next.map_or(Word::Other, Word::of);
        let number_follows = after.is_numeric() || is_literal(next);
        let after_one = matches!(before, Word::One(_));
        let after_ten = matches!(before, Word::Ten(_));

        match Word::of(current) {
            Word::Other => {
                self.finish();
                self.emit(current);
            }
            Word::Zero => self.value = Some(Value::append(self.value.take(), "0")),
            Word::One(one) => self.value = Some(Value::then_one(self.value.take(), one, after_one, after_ten)),
            Word::OneWith(one, ending) => {
                let value = Value::then_one(self.value.take(), one, after_one, after_ten);
                self.emit(&format!("{value}{ending}"));
            }
            Word::Ten(ten) => self.value = Some(Value::then_ten(self.value.take(), ten)),
            Word::TenWith(ten, ending) => {
                let value = Value::then_ten(self.value.take(), ten);
                self.emit(&format!("{value}{ending}"));
            }
            Word::Multiplier(multiplier) => {
                let value = self.multiply(multiplier);
                self.value = Some(value);
            }
            Word::MultiplierWith(multiplier, ending) => {
                let value = self.multiply(multiplier);
                self.emit(&format!("{value}{ending}"));
            }
            Word::Sign(sign) => {
                self.finish();
                if number_follows {
                    self.prefix = Some(sign);
                } else {
                    self.emit(current);
                }
            }
            Word::Currency(symbol) => {
                if self.value.is_some() {
                    self.prefix = Some(symbol);
                    self.finish();
                } else {
                    self.emit(current);
                }
            }
            Word::Percent => match self.value.take() {
                Some(value) => self.emit(&format!("{value}%")),
                None => self.emit(current),
            },
            Word::Per => match self.value.take() {
                Some(value) if next == Some("cent") => {
                    self.emit(&format!("{value}%"));
                    return 2;
                }
                value => {
                    self.value = value;
                    self.finish();
                    self.emit(current);
                }
            },
            // A word that joins numbers, where there is nothing to join.
            Word::And | Word::Repeat(_) | Word::Point if !number_follows => {
                self.finish();
                self.emit(current);
            }
            Word::And => {
                // "Two hundred and five" is one number, "two and five" are two.
                if !matches!(before, Word::Multiplier(_)) {
                    self.finish();
                    self.emit(current);
                }
            }
            Word::Repeat(times) => {
                let digit = match after {
                    Word::One(one) => one,
                    Word::Zero => 0,
                    _ => {
                        self.finish();
                        self.emit(current);
                        return 1;
                    }
                };
                let digits = digit.to_string().repeat(times);
                self.value = Some(Value::append(self.value.take(), &digits));
                return 2;
            }
            Word::Point => {
                // Before any other word of a number, a point is dropped.
                if after.is_decimal() || is_literal(next) {
                    self.value = Some(Value::append(self.value.take(), "."));
                }
            }
        }
        1
    }

    /// A number that was written with digits already.
    fn read_literal(&mut self, current: &str, symbol: Option<char>, literal: Value) {
        match self.value.take() {
            Some(value) if value.ends_with_point() => {
                self.value = Some(Value::append(Some(value), current));
                return;
            }
            Some(value) => self.emit(&value.to_string()),
            None => {}
        }
        self.prefix = symbol.or(self.prefix);
        self.value = Some(literal);
    }

    /// The value so far times `multiplier`; a value that can't be multiplied is put out before.
    fn multiply(&mut self, multiplier: i128) -> Value {
        Value::times(self.value.take(), multiplier).unwrap_or_else(|value| {
            self.emit(&value.to_string());
            Value::Integer(multiplier)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn counted_numbers_add_up() {
        assert_eq!(normalize("two thousand three hundred and forty five"), "2345");
        assert_eq!(normalize("two point five million people"), "2500000 people");
        assert_eq!(normalize("three and a half hours"), "3.5 hours");
    }

    #[test]
    fn digits_read_one_by_one_are_strung_together() {
        assert_eq!(normalize("one oh one"), "101");
        assert_eq!(normalize("call five five five double two seven"), "call 555227");
        assert_eq!(normalize("nineteen eighty four"), "1984");
    }

    #[test]
    fn symbols_go_before_or_after_the_number() {
        assert_eq!(normalize("two dollars and seven cents"), "$2.07");
        assert_eq!(normalize("minus ten per cent"), "-10%");
        assert_eq!(normalize("the twenty first of the nineteen sixties"), "the 21st of the 1960s");
    }

    #[test]
    fn one_stays_a_word() {
        assert_eq!(normalize("one of the ones"), "one of the ones");
    }
}
