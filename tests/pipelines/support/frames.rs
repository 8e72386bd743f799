//! What is to be seen and heard in a film: a file goes in, rows of brightness and seconds of sound come out.

use std::path::Path;

use super::media::{FRAME_RATE, HEIGHT, WIDTH};
use super::program::Program;
use super::text;

/// Mean difference of brightness from which an area counts as another.
const DIFFERENT: f64 = 4.0;

/// A picture's brightness.
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    /// Whether there is something in the lower third that is not in `plain`.
    pub(crate) fn has_caption(&self, plain: &Self) -> bool {
        self.difference(plain, HEIGHT * 2 / 3..HEIGHT) > DIFFERENT
    }

    /// Whether the upper half is another than that of `plain`.
    pub(crate) fn differs_above(&self, plain: &Self) -> bool {
        self.difference(plain, 0..HEIGHT / 2) > DIFFERENT
    }

    fn difference(&self, other: &Self, rows: std::ops::Range<usize>) -> f64 {
        let area = rows.start * WIDTH..rows.end * WIDTH;
        let pairs = self.0[area.clone()].iter().zip(&other.0[area.clone()]);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / area.len() as f64
    }
}

/// All pictures of a film, [`FRAME_RATE`] a second.
pub(crate) fn frames(film: &Path) -> Vec<Frame> {
    let caps = format!("video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={FRAME_RATE}/1");
    let bytes = raw(film, "video/x-raw", &["videorate", "!", "videoscale", "!", "videoconvert", "!", &caps]);
    bytes.chunks_exact(WIDTH * HEIGHT).map(|frame| Frame(frame.to_vec())).collect()
}

/// How long the sound of a film is.
pub(crate) fn seconds_of_sound(film: &Path) -> f64 {
    let caps = "audio/x-raw,format=S16LE,rate=16000,channels=1";
    raw(film, "audio/x-raw", &["audioconvert", "!", "audioresample", "!", caps]).len() as f64 / 32_000.0
}

/// One of a film's streams; a stream that nobody takes could hold up the other.
fn raw(film: &Path, kind: &str, elements: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw");
    let (from, to) = (format!("location={}", text(film)), format!("location={}", text(&path)));
    let kind = format!("caps={kind}");
    let decode = ["filesrc", &from, "!", "decodebin", "expose-all-streams=false", &kind, "!"];
    let line = [&decode[..], elements, &["!", "filesink", &to]];
    Program::launch(&line.concat()).succeed();
    std::fs::read(path).unwrap()
}
