//! Any raw audio to the core's mono 16 kHz floats, by GStreamer's own converter (mixing and resampling in one).

use gst::glib::translate::{IntoGlibPtr, ToGlibPtr};
use gst_audio::ffi;

/// Rate of the core.
const RATE: u32 = transcribe_core::SAMPLE_RATE;

/// A converter for one input format. Its resampler remembers the input's past, so that the output does not depend on
/// how the input is cut into buffers.
pub(super) struct Converter {
    raw: std::ptr::NonNull<ffi::GstAudioConverter>,
    info: gst_audio::AudioInfo,
    output: Vec<f32>,
}

// SAFETY: the C object has no thread affinity and is owned by this value alone; all access is through `&mut self`.
unsafe impl Send for Converter {}

impl Converter {
    /// A converter from `info`. `channel` picks one channel instead of mixing all down; an error if there is no such
    /// channel or GStreamer can't convert the format.
    pub(super) fn new(info: &gst_audio::AudioInfo, channel: Option<u32>) -> Result<Self, String> {
        let channels = info.channels();
        if let Some(channel) = channel.filter(|&c| c >= channels) {
            return Err(format!(
                "channel {channel} was asked for, but the audio has {channels} (counted from 0): set `channel` to less than {channels}, or to -1 for all mixed"
            ));
        }
        let mut config = gst_audio::AudioConverterConfig::new();
        config.set_resampler_method(gst_audio::AudioResamplerMethod::Kaiser);
        if let Some(row) = mix_row(info, channel) {
            config.set_mix_matrix(&[row]);
        }
        let out =
            gst_audio::AudioInfo::builder(gst_audio::AUDIO_FORMAT_F32, RATE, 1).build().map_err(|e| e.to_string())?;
        let config = gst::Structure::from(config);
        // SAFETY: both infos are valid for the call, which copies them; ownership of the structure goes to the callee.
        let raw = unsafe {
            ffi::gst_audio_converter_new(
                ffi::GST_AUDIO_CONVERTER_FLAG_NONE,
                info.to_glib_none().0.cast_mut(),
                out.to_glib_none().0.cast_mut(),
                config.into_glib_ptr(),
            )
        };
        let raw = std::ptr::NonNull::new(raw)
            .ok_or_else(|| format!("GStreamer cannot convert {info:?} to mono at {RATE} Hz"))?;
        Ok(Self { raw, info: info.clone(), output: Vec::new() })
    }

    /// Converts a buffer; what comes out may lag a little behind what went in, see [`drain`](Self::drain).
    pub(super) fn convert(&mut self, buffer: &gst::BufferRef) -> Result<&[f32], String> {
        if self.info.layout() == gst_audio::AudioLayout::NonInterleaved {
            let audio = gst_audio::AudioBufferRef::from_buffer_ref_readable(buffer, &self.info)
                .map_err(|e| format!("planar audio buffer without a valid audio meta: {e}"))?;
            let planes: Vec<&[u8]> = (0..audio.n_planes()).filter_map(|p| audio.plane_data(p).ok()).collect();
            if planes.len() != self.info.channels() as usize {
                return Err(format!(
                    "planar audio buffer with {} planes for {} channels",
                    planes.len(),
                    self.info.channels()
                ));
            }
            let mut pointers: Vec<_> = planes.iter().map(|p| p.as_ptr().cast_mut().cast()).collect();
            let frames = planes.iter().map(|p| p.len()).min().unwrap_or(0) / self.info.bps().max(1) as usize;
            return Ok(self.run(Some(&mut pointers), frames.min(audio.n_samples())));
        }
        let map = buffer.map_readable().map_err(|e| format!("cannot map the audio buffer: {e}"))?;
        // A torn last frame, from a truncated file say, is left out.
        let frames = map.len() / self.info.bpf().max(1) as usize;
        Ok(self.run(Some(&mut [map.as_ptr().cast_mut().cast()]), frames))
    }

    /// Frames in a buffer of the input format.
    pub(super) fn frames(&self, buffer: &gst::BufferRef) -> u64 {
        match buffer.meta::<gst_audio::AudioMeta>() {
            Some(meta) => meta.samples() as u64,
            None => (buffer.size() / self.info.bpf().max(1) as usize) as u64,
        }
    }

    /// Gives out what the resampler still holds back, and forgets the past.
    pub(super) fn drain(&mut self) -> &[f32] {
        // SAFETY: `raw` is a valid converter for the lifetime of `self`.
        let held = unsafe { ffi::gst_audio_converter_get_max_latency(self.raw.as_ptr()) };
        self.run(None, held);
        // SAFETY: as above.
        unsafe { ffi::gst_audio_converter_reset(self.raw.as_ptr()) };
        &self.output
    }

    /// Runs `frames` of input, or of silence without `planes`.
    fn run(&mut self, planes: Option<&mut [gst::glib::ffi::gpointer]>, frames: usize) -> &[f32] {
        self.output.clear();
        if frames == 0 {
            return &self.output;
        }
        // SAFETY: `raw` is a valid converter; `planes` has a pointer for each plane of the converter's input format,
        // each to at least `frames` frames (the callers divide the mapped sizes), or is null for silence; `output` has
        // room for exactly the frames that the converter says it will write.
        unsafe {
            let out_frames = ffi::gst_audio_converter_get_out_frames(self.raw.as_ptr(), frames);
            self.output.resize(out_frames, 0.0);
            let mut out: [gst::glib::ffi::gpointer; 1] = [self.output.as_mut_ptr().cast()];
            ffi::gst_audio_converter_samples(
                self.raw.as_ptr(),
                ffi::GST_AUDIO_CONVERTER_FLAG_NONE,
                planes.map_or(std::ptr::null_mut(), |p| p.as_mut_ptr()),
                frames,
                out.as_mut_ptr(),
                out_frames,
            );
        }
        &self.output
    }
}

impl Drop for Converter {
    fn drop(&mut self) {
        // SAFETY: created by `gst_audio_converter_new`, freed once.
        unsafe { ffi::gst_audio_converter_free(self.raw.as_ptr()) }
    }
}

/// Weights of the input channels, where GStreamer's own choice from the channel positions is not wanted or, without
/// positions, does not exist.
fn mix_row(info: &gst_audio::AudioInfo, channel: Option<u32>) -> Option<Vec<f32>> {
    let channels = info.channels() as usize;
    if let Some(channel) = channel {
        return Some((0..channels).map(|c| if c == channel as usize { 1.0 } else { 0.0 }).collect());
    }
    let positioned = info.positions().is_some_and(|p| p.iter().all(|&p| p != gst_audio::AudioChannelPosition::None));
    (channels > 2 && !positioned).then(|| vec![1.0 / channels as f32; channels])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(format: gst_audio::AudioFormat, rate: u32, channels: u32) -> gst_audio::AudioInfo {
        gst::init().unwrap();
        gst_audio::AudioInfo::builder(format, rate, channels).build().unwrap()
    }

    fn tone(rate: u32, channels: usize, seconds: f32) -> Vec<i16> {
        (0..(rate as f32 * seconds) as usize)
            .flat_map(|i| {
                let x = (i as f32 / rate as f32 * 440.0 * std::f32::consts::TAU).sin();
                std::iter::repeat_n((x * 16_000.0) as i16, channels)
            })
            .collect()
    }

    fn convert_in_pieces(converter: &mut Converter, samples: &[i16], frame: usize, piece: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for piece in samples.chunks(piece * frame) {
            let bytes: Vec<u8> = piece.iter().flat_map(|s| s.to_le_bytes()).collect();
            let buffer = gst::Buffer::from_slice(bytes);
            out.extend_from_slice(converter.convert(&buffer).unwrap());
        }
        out.extend_from_slice(converter.drain());
        out
    }

    #[test]
    fn the_output_is_aligned_and_does_not_depend_on_the_pieces() {
        let info = info(gst_audio::AudioFormat::S16le, 48_000, 2);
        let samples = tone(48_000, 2, 0.5);
        let whole = convert_in_pieces(&mut Converter::new(&info, None).unwrap(), &samples, 2, samples.len());
        let pieces = convert_in_pieces(&mut Converter::new(&info, None).unwrap(), &samples, 2, 48);
        assert_eq!(whole.len(), pieces.len());
        // The last 4 ms are what the drain makes of the end and the silence behind it, which GStreamer's resampler
        // does a little differently after a large buffer and after a small one.
        let heard = whole.len() - 64;
        for (i, (a, b)) in whole[..heard].iter().zip(&pieces).enumerate() {
            assert!((a - b).abs() < 1e-6, "sample {i}: {a} in one piece, {b} in many");
        }
        assert!((whole.len() as i64 - 8_000).abs() <= 64, "{}", whole.len());
        for (i, x) in whole[100..7_900].iter().enumerate() {
            let expected = ((i + 100) as f32 / 16_000.0 * 440.0 * std::f32::consts::TAU).sin() * 16_000.0 / 32_768.0;
            assert!((x - expected).abs() < 0.01, "sample {i}: {x} for {expected}");
        }
    }

    #[test]
    fn a_channel_can_be_picked_and_a_missing_one_is_refused() {
        let info = info(gst_audio::AudioFormat::S16le, 16_000, 2);
        let samples: Vec<i16> = (0..1600).flat_map(|_| [0, 16_384]).collect();
        let left = convert_in_pieces(&mut Converter::new(&info, Some(0)).unwrap(), &samples, 2, 1600);
        let right = convert_in_pieces(&mut Converter::new(&info, Some(1)).unwrap(), &samples, 2, 1600);
        assert!(left.iter().all(|&x| x == 0.0) && right[..1600].iter().all(|&x| (x - 0.5).abs() < 1e-3));
        assert!(Converter::new(&info, Some(2)).err().unwrap().contains("channel 2"));
    }

    #[test]
    fn many_channels_without_positions_are_averaged() {
        gst::init().unwrap();
        let positions = [gst_audio::AudioChannelPosition::None; 6];
        let info = gst_audio::AudioInfo::builder(gst_audio::AudioFormat::S16le, 16_000, 6)
            .positions(&positions)
            .build()
            .unwrap();
        let samples = vec![16_384i16; 1600 * 6];
        let out = convert_in_pieces(&mut Converter::new(&info, None).unwrap(), &samples, 6, 1600);
        assert!(out[..1600].iter().all(|&x| (x - 0.5).abs() < 1e-2));
    }
}
