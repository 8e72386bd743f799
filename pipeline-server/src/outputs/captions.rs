//! Finals into captions: cues short enough to be read, in lines short enough to be shown.
//!
//! An utterance is cut between words so that each cue lasts at most [`LONGEST`] seconds and fits two lines of [`COLUMNS`]
//! columns. Of all ways to cut it the one is taken that breaks least: few cues, ends of sentences before
//! commas and pauses, no scraps.

use transcribe_core::transcript::{Event, Final};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{one_line, spoken};

/// Seconds that a cue stands at most.
const LONGEST: f64 = 7.0;
/// Columns of a line; wide characters take two.
const COLUMNS: usize = 42;
/// Seconds below which a cue is a scrap.
const SCRAP: f64 = 1.0;
/// Seconds of silence between words that are a pause.
const PAUSE: f64 = 0.3;
/// Seconds that a cue lasts at least, whatever the times say.
const SHORTEST: f64 = 0.01;

/// Text that is shown from `start` to `end`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cue {
    /// Seconds.
    pub(crate) start: f64,
    /// Seconds.
    pub(crate) end: f64,
    /// One or two lines; more only where a single word is longer.
    pub(crate) lines: Vec<String>,
}

/// Makes cues of events; they never overlap.
pub(crate) struct Captions {
    a_word_each: bool,
    last_end: f64,
}

impl Captions {
    /// `a_word_each` makes each word a cue.
    pub(crate) fn new(a_word_each: bool) -> Self {
        Self { a_word_each, last_end: 0.0 }
    }

    /// The cues of an event; none unless it is a final with words.
    pub(crate) fn cues(&mut self, event: &Event) -> Vec<Cue> {
        let Some(last) = spoken(event) else { return Vec::new() };
        let text = one_line(&last.text);
        let pieces = pieces(&text, last);
        let cuts = if self.a_word_each { (1..=pieces.len()).collect() } else { best_cuts(&text, &pieces) };
        let mut from = 0;
        let mut cues = Vec::with_capacity(cuts.len());
        for to in cuts {
            let start = pieces[from].start.max(self.last_end);
            let end = pieces[to - 1].end.max(start + SHORTEST);
            cues.push(Cue { start, end, lines: wrap(between(&text, &pieces[from..to])) });
            self.last_end = end;
            from = to;
        }
        cues
    }
}

/// A word with its place in the text; bytes from … to.
struct Piece {
    from: usize,
    to: usize,
    start: f64,
    end: f64,
}

fn between<'a>(text: &'a str, pieces: &[Piece]) -> &'a str {
    match (pieces.first(), pieces.last()) {
        (Some(first), Some(last)) => text[first.from..last.to].trim(),
        _ => "",
    }
}

/// The words of a final as places in its text: at the times they were spoken if the text is made of them, else evenly.
fn pieces(text: &str, last: &Final) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(last.words.len());
    let mut cursor = 0;
    for word in &last.words {
        let spelled = one_line(&word.text);
        if spelled.is_empty() {
            continue;
        }
        match text[cursor..].find(&spelled) {
            // Only spaces may stand between words.
            Some(gap) if text[cursor..cursor + gap].trim().is_empty() => {
                let from = cursor + gap;
                cursor = from + spelled.len();
                pieces.push(Piece { from, to: cursor, start: word.start, end: word.end.max(word.start) });
            }
            _ => return evenly(text, last.start, last.end),
        }
    }
    if pieces.is_empty() || !text[cursor..].trim().is_empty() {
        return evenly(text, last.start, last.end);
    }
    pieces
}

/// What stands between spaces, with times as if each column took as long to say.
fn evenly(text: &str, start: f64, end: f64) -> Vec<Piece> {
    let per_column = (end - start).max(0.0) / text.width().max(1) as f64;
    let time = |byte: usize| start + text[..byte].width() as f64 * per_column;
    let mut pieces = Vec::new();
    let mut cursor = 0;
    for word in text.split(' ') {
        let to = cursor + word.len();
        pieces.push(Piece { from: cursor, to, start: time(cursor), end: time(to) });
        cursor = to + 1;
    }
    pieces
}

/// Where cues end, as counts of pieces, by the least sum of [`cost`] over all ways to cut.
fn best_cuts(text: &str, pieces: &[Piece]) -> Vec<usize> {
    // best[n]: the least cost of the first n pieces and where their last cue begins.
    let mut best = vec![(0.0, 0)];
    for to in 1..=pieces.len() {
        let mut choice = (f64::INFINITY, to - 1);
        for from in (0..to).rev() {
            let Some(cost) = cost(text, pieces, from, to) else { break };
            let sum = best[from].0 + cost;
            if sum < choice.0 {
                choice = (sum, from);
            }
        }
        best.push(choice);
    }
    let mut cuts = Vec::new();
    let mut to = pieces.len();
    while to > 0 {
        cuts.push(to);
        to = best[to].1;
    }
    cuts.reverse();
    cuts
}

/// How bad it is to make pieces `from..to` a cue; `None` if they don't fit one (a single piece always does).
fn cost(text: &str, pieces: &[Piece], from: usize, to: usize) -> Option<f64> {
    let cue = &pieces[from..to];
    let seconds = pieces[to - 1].end - pieces[from].start;
    if cue.len() > 1 && (seconds > LONGEST || !fits(between(text, cue))) {
        return None;
    }
    let mut cost = 1.0;
    if let Some(next) = pieces.get(to) {
        cost += match between(text, cue).chars().last() {
            Some('.' | '?' | '!' | '…' | '。' | '？' | '！') => 0.0,
            Some(',' | ';' | ':' | '、' | '，') => 0.2,
            _ if next.start - pieces[to - 1].end >= PAUSE => 0.2,
            _ => 0.6,
        };
    }
    if seconds < SCRAP {
        cost += 0.5;
    }
    Some(cost)
}

/// Bytes at which a line may end: behind a space, or beside a wide character, since such scripts have no spaces.
fn breaks(text: &str) -> impl Iterator<Item = usize> + '_ {
    let chars = text.char_indices().zip(text.chars().skip(1));
    chars.filter_map(|((at, this), next)| {
        let wide = |c: char| c.width() == Some(2);
        let closing = "、。，！？」』）".contains(next);
        let may = this == ' ' || (next != ' ' && !closing && (wide(this) || wide(next)));
        may.then_some(at + this.len_utf8())
    })
}

fn fits(text: &str) -> bool {
    wrapped_at(text).is_some()
}

/// Where to break a text so that two lines hold it: behind a clause unless that makes them too uneven,
/// else as even as can be; 0 if one line holds it.
fn wrapped_at(text: &str) -> Option<usize> {
    if text.width() <= COLUMNS {
        return Some(0);
    }
    let lines = |at: usize| (text[..at].trim_end().width(), text[at..].trim_start().width());
    breaks(text)
        .filter(|&at| {
            let (upper, lower) = lines(at);
            upper <= COLUMNS && lower <= COLUMNS
        })
        .min_by_key(|&at| {
            let (upper, lower) = lines(at);
            let clause = text[..at].trim_end().ends_with([',', '.', ';', ':', '?', '!', '、', '。']);
            upper.abs_diff(lower) + if clause { 0 } else { COLUMNS / 2 }
        })
}

/// The lines of a cue.
fn wrap(text: &str) -> Vec<String> {
    match wrapped_at(text) {
        None | Some(0) => vec![text.to_owned()],
        Some(at) => vec![text[..at].trim_end().to_owned(), text[at..].trim_start().to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    const LONG: &str = "If the reader will excuse me, I will say nothing of my antecedents, nor of the circumstances \
                        which led me to leave my native country. The narrative would be tedious to him and painful to \
                        myself.";

    fn cues(event: &Event) -> Vec<Cue> {
        Captions::new(false).cues(event)
    }

    fn check(cues: &[Cue]) {
        for cue in cues {
            assert!(cue.end - cue.start <= LONGEST + 1e-9, "{cue:?}");
            assert!(cue.lines.len() <= 2 && cue.lines.iter().all(|line| line.width() <= COLUMNS), "{cue:?}");
        }
        assert!(cues.windows(2).all(|pair| pair[0].end <= pair[1].start), "{cues:?}");
    }

    fn text(cues: &[Cue], space: &str) -> String {
        cues.iter().map(|cue| cue.lines.join(space)).collect::<Vec<_>>().join(space)
    }

    #[test]
    fn a_short_utterance_is_one_cue_with_its_times() {
        let cue = Cue { start: 1.0, end: 2.0, lines: vec!["Hello there.".into()] };
        assert_eq!(cues(&said(0, 1.0, 2.0, "Hello there.")), [cue]);
    }

    #[test]
    fn a_long_one_is_cut_where_it_hurts_least() {
        let cues = cues(&said(0, 0.5, 12.0, LONG));
        check(&cues);
        assert_eq!(text(&cues, " "), LONG);
        assert_eq!(cues.len(), 3, "{cues:#?}");
        assert!(cues[0].lines.last().unwrap().ends_with(','), "{cues:#?}");
        assert!(cues[1].lines.last().unwrap().ends_with("country."), "{cues:#?}");
    }

    #[test]
    fn a_slow_one_is_cut_by_time() {
        let cues = cues(&said(0, 0.0, 18.0, "one two three four five six"));
        check(&cues);
        assert_eq!(cues.len(), 3);
    }

    #[test]
    fn lines_are_even() {
        let lines = wrap("Ask not what your country can do for you, ask what you can do");
        assert_eq!(lines, ["Ask not what your country can do for you,", "ask what you can do"]);
        let lines = wrap("He might have been made still more respectable");
        assert_eq!(lines, ["He might have been made", "still more respectable"]);
    }

    #[test]
    fn words_that_do_not_make_up_the_text_are_spread_evenly() {
        let mut event = said(0, 0.0, 12.0, LONG);
        if let Event::Final(last) = &mut event {
            last.words.truncate(3);
        }
        let even = cues(&event);
        check(&even);
        assert_eq!(text(&even, " "), LONG);
        assert!((even.last().unwrap().end - 12.0).abs() < 1e-6);
    }

    #[test]
    fn scripts_without_spaces_are_cut_too() {
        let sentence = "私はその国を離れることになった事情については何も申し上げません。";
        let japanese = sentence.repeat(4);
        let mut event = said(0, 0.0, 20.0, &japanese);
        if let Event::Final(last) = &mut event {
            let one = last.words[0].clone();
            let count = japanese.chars().count() as f64;
            let word = |(i, c): (usize, char)| transcribe_core::transcript::Word {
                text: c.to_string(),
                start: 20.0 * i as f64 / count,
                end: 20.0 * (i + 1) as f64 / count,
                ..one.clone()
            };
            last.words = japanese.chars().enumerate().map(word).collect();
        }
        let cues = cues(&event);
        check(&cues);
        assert_eq!(text(&cues, ""), japanese);
        assert!(cues.iter().all(|cue| cue.lines.last().unwrap().ends_with('。')), "{cues:#?}");
    }

    #[test]
    fn a_word_longer_than_the_screen_is_kept_whole() {
        let word = "a".repeat(100);
        let cues = cues(&said(0, 0.0, 9.0, &format!("see {word} there")));
        assert!(cues.iter().any(|cue| cue.lines == [word.clone()]), "{cues:#?}");
    }

    #[test]
    fn cues_never_overlap_nor_last_no_time() {
        let mut captions = Captions::new(false);
        let mut all = captions.cues(&said(0, 0.0, 2.0, "One."));
        all.extend(captions.cues(&said(1, 1.5, 1.5, "Two.")));
        check(&all);
        assert!(all.iter().all(|cue| cue.end > cue.start));
    }

    #[test]
    fn what_is_no_final_or_empty_gives_no_cue() {
        assert_eq!(cues(&Event::SpeechStart { utterance: 0, start: 0.0 }), []);
        assert_eq!(cues(&said(0, 0.0, 1.0, " ")), []);
    }
}
