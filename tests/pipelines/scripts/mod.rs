//! Each launch line in `pipelines/`.

mod burned_in;
mod files;
mod live;
mod microphone;
mod telephone;
mod two_languages;
mod usage;
mod webrtc;
