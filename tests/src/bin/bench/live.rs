//! At the speed of a microphone: how long after the end of speech its text is there.

use anyhow::Result;
use e2e_tests::clips::{Composition, Spoken};

use crate::driver::{Kind, Said};
use crate::measure::{candidates, quantile, Run};
use crate::table::{head, heading, number, row};

const VARIANTS: [(&str, &[(&str, &str)]); 2] =
    [("partials every 500 ms", &[]), ("finals only", &[("partials", "none")])];

pub(crate) fn measure(quick: bool) -> Result<()> {
    let composition = Composition::long();
    heading("Latency: the same audio in real time, in buffers of 20 ms");
    let candidates = candidates();
    head(&[
        "model",
        "settings",
        "end of speech → final: audio p50 / p95 s",
        "wall p50 / p95 s",
        "start of speech → first partial: wall p50 / p95 s",
        "CPU s per minute of audio",
        "word errors %",
        "finals",
        "partials",
    ]);
    for candidate in &candidates {
        let _model = candidate.load()?;
        for (name, properties) in VARIANTS.iter().take(if quick { 1 } else { 2 }) {
            let run = Run::of(&candidate.path, &composition, properties, true)?;
            let finals: Vec<&Said> = run.finals().collect();
            let ends: Vec<f64> = (0..finals.len()).map(|i| end_of_speech(&finals, i, &composition.spoken)).collect();
            let since = |said: &Said| (said.at - run.started).as_secs_f64();
            let audio: Vec<f64> = finals.iter().zip(&ends).map(|(said, end)| said.pushed - end).collect();
            let wall: Vec<f64> = finals.iter().zip(&ends).map(|(said, end)| since(said) - end).collect();
            let first = |said: &&Said| said.kind == Kind::Partial && is_first(said, &run.said);
            let partial: Vec<f64> = run.said.iter().filter(first).map(|said| since(said) - said.start).collect();
            let both = |values: &[f64]| {
                format!("{} / {}", number(quantile(values, 0.5), 2), number(quantile(values, 0.95), 2))
            };
            row(&[
                candidate.name.to_owned(),
                (*name).to_owned(),
                both(&audio),
                both(&wall),
                both(&partial),
                number(run.cpu_per_minute(), 2),
                number(run.errors(&composition), 1),
                finals.len().to_string(),
                run.count("partials").to_string(),
            ]);
        }
    }
    println!(
        "\nThe end of speech is the truth of the composed signal for the last final of each clip, and the end that the"
    );
    println!("element reports for finals before it. 500 ms of the latency are the silence that ends an utterance.");
    Ok(())
}

/// The true end of speech where the final is the last of a clip, else the one it reports.
fn end_of_speech(finals: &[&Said], i: usize, spoken: &[Spoken]) -> f64 {
    let clip = spoken.iter().rfind(|spoken| spoken.start < finals[i].end);
    let last = |clip: &&Spoken| finals.get(i + 1).is_none_or(|next| next.start >= clip.end);
    clip.filter(last).map_or(finals[i].end, |clip| clip.end)
}

/// Whether no partial of the same utterance came before it.
fn is_first(said: &Said, all: &[Said]) -> bool {
    let first = all.iter().find(|other| other.kind == Kind::Partial && other.utterance == said.utterance);
    first.is_some_and(|first| first.at == said.at)
}
