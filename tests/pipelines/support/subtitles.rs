//! Readers for subtitles: a file's text goes in, cues come out; what breaks the format's rules stops the test.

/// Text with its time in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cue {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) text: String,
}

/// The text of all cues.
pub(crate) fn spoken(cues: &[Cue]) -> String {
    cues.iter().map(|cue| cue.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Cues of SubRip, numbered from 1.
pub(crate) fn srt(file: &str) -> Vec<Cue> {
    let cue = |(index, block): (usize, &str)| {
        let (number, rest) = block.split_once('\n').unwrap_or_else(|| panic!("no cue: {block:?}"));
        assert_eq!(number.trim(), (index + 1).to_string(), "{file}");
        cue(rest, ',')
    };
    blocks(file).enumerate().map(cue).collect()
}

/// Cues of WebVTT.
pub(crate) fn vtt(file: &str) -> Vec<Cue> {
    let rest = file.strip_prefix("WEBVTT\n\n").unwrap_or_else(|| panic!("no WebVTT: {file:?}"));
    blocks(rest).map(|block| cue(block, '.')).collect()
}

fn blocks(file: &str) -> impl Iterator<Item = &str> {
    file.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty())
}

fn cue(block: &str, point: char) -> Cue {
    let (times, text) = block.split_once('\n').unwrap_or_else(|| panic!("no text: {block:?}"));
    let (start, end) = times.split_once(" --> ").unwrap_or_else(|| panic!("no times: {block:?}"));
    assert!(!text.trim().is_empty(), "{block:?}");
    Cue { start: seconds(start, point), end: seconds(end, point), text: text.replace('\n', " ") }
}

fn seconds(time: &str, point: char) -> f64 {
    let (whole, thousandths) = time.split_once(point).unwrap_or_else(|| panic!("no time: {time:?}"));
    assert_eq!(thousandths.len(), 3, "{time:?}");
    let whole = whole.split(':').fold(0, |sum, part| 60 * sum + part.parse::<u32>().unwrap());
    f64::from(whole) + f64::from(thousandths.parse::<u32>().unwrap()) / 1000.0
}

#[test]
fn both_formats_are_read() {
    let one = [Cue { start: 3_723.25, end: 3_724.0, text: "a b".into() }];
    assert_eq!(srt("1\n01:02:03,250 --> 01:02:04,000\na\nb\n\n"), one);
    assert_eq!(vtt("WEBVTT\n\n01:02:03.250 --> 01:02:04.000\na b\n"), one);
    assert_eq!(vtt("WEBVTT\n\n"), []);
}
