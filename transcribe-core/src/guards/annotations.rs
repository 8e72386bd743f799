//! Annotations: what subtitles put in brackets or between notes because nobody says it.

use std::ops::Range;

/// Longest annotation, bytes; a bracket that is open for longer is not one.
const LONGEST: usize = 80;

/// `text` without `[BLANK_AUDIO]`, `(applause)`, `*coughs*`, `♪ … ♪` and stray notes, spaces mended. Brackets inside
/// a word, as in `f(x)`, stay.
pub fn strip_annotations(text: &str) -> String {
    let spans = spans(text);
    if spans.is_empty() {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for span in spans {
        kept.push_str(&text[from..span.start]);
        from = span.end;
    }
    kept.push_str(&text[from..]);
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Which of `words` belong to an annotation, for words that make up a text with spaces between them.
pub fn annotated<S: AsRef<str>>(words: &[S]) -> Vec<bool> {
    let mut text = String::new();
    let places: Vec<Range<usize>> = words
        .iter()
        .map(|word| {
            if !text.is_empty() {
                text.push(' ');
            }
            let start = text.len();
            text.push_str(word.as_ref());
            start..text.len()
        })
        .collect();
    let spans = spans(&text);
    let inside = |place: &Range<usize>| spans.iter().any(|s| s.start < place.end && place.start < s.end);
    places.iter().map(inside).collect()
}

/// Annotations with the punctuation that hangs on them, in order, as byte ranges of `text`.
fn spans(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].chars().next() {
        let end = annotation_end(text, at, open);
        match end {
            Some(end) => {
                spans.push(at..end);
                at = end;
            }
            None => at += open.len_utf8(),
        }
    }
    spans
}

/// Where the annotation that opens at `start` ends, with punctuation behind it; `None` if none opens there.
fn annotation_end(text: &str, start: usize, open: char) -> Option<usize> {
    let close = match open {
        '[' => ']',
        '(' => ')',
        '*' => '*',
        '（' => '）',
        '【' => '】',
        '♪' | '♫' | '♬' | '♩' => open,
        _ => return None,
    };
    let is_note = open == close && open != '*';
    let in_word = text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
    let inner = start + open.len_utf8();
    let length = text[inner..].char_indices().take_while(|(n, _)| *n <= LONGEST).find(|(_, c)| *c == close);
    let Some((length, _)) = length else {
        return is_note.then_some(inner); // a note alone
    };
    let end = inner + length + close.len_utf8();
    let goes_on = text[end..].chars().next().is_some_and(char::is_alphanumeric);
    let holds_words = text[inner..inner + length].chars().any(char::is_alphabetic);
    if !is_note && (in_word && open.is_ascii() || goes_on && open.is_ascii() || !holds_words) {
        return None;
    }
    let tail = text[end..].char_indices().find(|(_, c)| !".,!?…。，、".contains(*c));
    Some(tail.map_or(text.len(), |(n, _)| end + n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_go() {
        for (text, kept) in [
            ("[BLANK_AUDIO]", ""),
            (" [Music] ", ""),
            ("Hello (applause) everybody.", "Hello everybody."),
            ("Hello. [door closes].", "Hello."),
            ("*coughs* Sorry.", "Sorry."),
            ("♪ la la la ♪ And now", "And now"),
            ("♪♪", ""),
            ("♪ la la", "la la"),
            ("(音楽)はい", "(音楽)はい"),
            ("（音楽）はい", "はい"),
            ("[Music] [Applause]", ""),
        ] {
            assert_eq!(strip_annotations(text), kept, "{text}");
        }
    }

    #[test]
    fn other_text_stays() {
        for text in ["f(x) is a function", "3 * 4 * 5", "2 (3) 4", "an open [bracket", "a*b*c", "", "  two  spaces"] {
            assert_eq!(strip_annotations(text), text);
        }
        let long = format!("({})", "word ".repeat(40));
        assert_eq!(strip_annotations(&long), long, "nobody annotates for that long");
    }

    #[test]
    fn words_of_an_annotation_are_marked() {
        let words = ["So", "[door", "closes]", "what?", "[BLANK_AUDIO]", "f(x)"];
        assert_eq!(annotated(&words), [false, true, true, false, true, false]);
        assert_eq!(annotated::<&str>(&[]), Vec::<bool>::new());
    }
}
