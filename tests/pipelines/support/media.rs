//! Files to transcribe: compositions as sound, as compressed sound and with a picture.

use std::path::{Path, PathBuf};

use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::{named, Composition};

use super::program::Program;
use super::text;

/// Pictures a second in films.
pub(crate) const FRAME_RATE: u32 = 10;
/// Columns of films.
pub(crate) const WIDTH: usize = 320;
/// Rows of films.
pub(crate) const HEIGHT: usize = 240;

/// Two sentences that the bundled model understands without a fault, 13 s.
pub(crate) fn two_sentences() -> Composition {
    let clips = [named("librivox-sense-0920"), named("librivox-sense-0930")];
    Composition::new().silence(1.0).clips(clips, 1.5)
}

/// A composition as a WAV file in `folder`. Its name has a space in it, as names of users' files have.
pub(crate) fn wav(folder: &Path, signal: &Composition) -> PathBuf {
    let path = folder.join("what is said.wav");
    write_wav(&path, &signal.samples, SAMPLE_RATE, 1).unwrap();
    path
}

/// The sound of a file, encoded by elements such as `lamemp3enc`.
pub(crate) fn encoded(sound: &Path, elements: &[&str], name: &str) -> PathBuf {
    let path = sound.with_file_name(name);
    let (from, to) = (location(sound), location(&path));
    let line = [&["filesrc", &from, "!", "decodebin", "!", "audioconvert", "!"], elements, &["!", "filesink", &to]];
    Program::launch(&line.concat()).succeed();
    path
}

/// A film of one colour, with the sound of a file if there is one.
pub(crate) fn film(folder: &Path, name: &str, seconds: f64, sound: Option<&Path>) -> PathBuf {
    let path = folder.join(name);
    let frames = format!("num-buffers={}", (seconds * f64::from(FRAME_RATE)).round());
    let caps = format!("video/x-raw,width={WIDTH},height={HEIGHT},framerate={FRAME_RATE}/1");
    let to = location(&path);
    let mut line = vec!["videotestsrc", &frames, "pattern=blue", "!", &caps, "!", "vp8enc", "deadline=1", "!", "queue"];
    line.extend(["!", "matroskamux", "name=film", "!", "filesink", &to]);
    let from = sound.map(location);
    if let Some(from) = &from {
        line.extend([
            "filesrc",
            from,
            "!",
            "decodebin",
            "!",
            "audioconvert",
            "!",
            "flacenc",
            "!",
            "queue",
            "!",
            "film.",
        ]);
    }
    Program::launch(&line).succeed();
    path
}

fn location(path: &Path) -> String {
    format!("location={}", text(path))
}
