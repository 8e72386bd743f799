//! Several values in one option, with commas between them.

use std::fmt;
use std::str::FromStr;

/// A list, which replaces an earlier one as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: FromStr<Err: fmt::Display>> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let items = items.map(|item| item.parse().map_err(|error| format!("{item:?}: {error}")));
        items.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_values() {
        assert_eq!("1, 2,,3".parse::<List<u8>>(), Ok(List(vec![1, 2, 3])));
        assert_eq!("".parse::<List<u8>>(), Ok(List(vec![])));
        assert!("1,x".parse::<List<u8>>().unwrap_err().starts_with("\"x\""));
    }
}
