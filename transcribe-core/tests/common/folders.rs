//! Models in other formats, made of a ggml file: folders as transformers and CTranslate2 write them. What tensors and
//! tokens are called there is written down here once more, so that a mistake in the readers shows.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{json, Map, Value};
use transcribe_core::engine::languages::LANGUAGES;
use transcribe_core::models::checkpoint::Checkpoint;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    F32,
    F16,
    Bf16,
    /// With one scale for the tensor; CTranslate2 only.
    Int16,
    /// With a scale for each row; CTranslate2 only.
    Int8,
}

impl Numbers {
    fn bytes(self, numbers: &[f32]) -> Vec<u8> {
        match self {
            Self::F16 => numbers.iter().flat_map(|n| half(*n).to_le_bytes()).collect(),
            Self::Bf16 => numbers.iter().flat_map(|n| brain(*n).to_le_bytes()).collect(),
            _ => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
        }
    }
}

/// The nearest number in half precision.
fn half(number: f32) -> u16 {
    let (sign, magnitude) = ((number.to_bits() >> 16) as u16 & 0x8000, number.abs());
    if magnitude < 6.103_515_6e-5 {
        return sign | (magnitude * 16_777_216.0).round_ties_even() as u16;
    }
    let bits = magnitude.to_bits();
    let rounded = (bits + 0xfff + (bits >> 13 & 1)) >> 13;
    sign | rounded.saturating_sub(112 << 10).min(0x7c00) as u16
}

/// The nearest number in bfloat16.
fn brain(number: f32) -> u16 {
    let bits = number.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// A tensor's name in the new format, extents and numbers.
type Tensor = (String, Vec<usize>, Vec<f32>);

/// How a Hugging Face folder is to be.
#[derive(Debug, Clone, Copy)]
pub struct HuggingFace {
    pub numbers: Numbers,
    /// Files to spread the weights over.
    pub files: usize,
    /// The head has weights of its own, a copy of the embedding's.
    pub untied: bool,
}

/// Writes the model in `ggml` as a Hugging Face folder.
pub fn hugging_face(ggml: &Path, folder: &Path, how: HuggingFace) {
    let mut model = Checkpoint::open(ggml).unwrap();
    let mut tensors = hugging_face_tensors(&mut model);
    if how.untied {
        let embedding = tensors.iter().find(|(name, ..)| name == "model.decoder.embed_tokens.weight").unwrap();
        tensors.push(("proj_out.weight".to_owned(), embedding.1.clone(), embedding.2.clone()));
    }
    let mut map = Map::new();
    for n in 0..how.files {
        let name = match how.files {
            1 => "model.safetensors".to_owned(),
            files => format!("model-{:05}-of-{files:05}.safetensors", n + 1),
        };
        let own: Vec<&Tensor> = tensors.iter().skip(n).step_by(how.files).collect();
        map.extend(own.iter().map(|(tensor, ..)| (tensor.clone(), json!(name))));
        safetensors(&folder.join(name), &own, how.numbers);
    }
    if how.files > 1 {
        write(folder, "model.safetensors.index.json", &json!({"metadata": {}, "weight_map": map}));
    }

    let shape = *model.shape();
    let mut config = json!({
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "vocab_size": shape.vocabulary,
        "num_mel_bins": shape.mels, "max_source_positions": 1500, "max_target_positions": 448, "d_model": shape.state,
        "encoder_layers": shape.audio_layers, "encoder_attention_heads": shape.audio_heads,
        "encoder_ffn_dim": 4 * shape.state, "decoder_layers": shape.text_layers,
        "decoder_attention_heads": shape.text_heads, "decoder_ffn_dim": 4 * shape.state,
        "activation_function": "gelu", "scale_embedding": false, "torch_dtype": "float32",
    });
    if how.untied {
        config["tie_word_embeddings"] = json!(false);
    }
    write(folder, "config.json", &config);

    let names = token_names(&model);
    let end = model.vocabulary().special().end as usize;
    let mut generation = json!({"begin_suppress_tokens": [220, end], "is_multilingual": shape.multilingual});
    if shape.multilingual {
        let languages = names[end + 2..].iter().take_while(|name| *name != "<|translate|>").zip(end + 2..);
        generation["lang_to_id"] = languages.map(|(name, id)| (name.clone(), json!(id))).collect::<Map<_, _>>().into();
        let id = |name: &str| names.iter().position(|n| n == name).unwrap();
        generation["task_to_id"] = json!({"translate": id("<|translate|>"), "transcribe": id("<|transcribe|>")});
    }
    write(folder, "generation_config.json", &generation);
    let vocab: BTreeMap<&String, usize> = names.iter().take(end).zip(0..).collect();
    let added = names.iter().zip(0..).skip(end).take_while(|(name, _)| *name != "<|0.00|>");
    let added: Vec<Value> = added.map(|(content, id)| json!({"id": id, "content": content, "special": true})).collect();
    write(
        folder,
        "tokenizer.json",
        &json!({"model": {"type": "BPE", "vocab": vocab, "merges": []}, "added_tokens": added}),
    );
}

fn write(folder: &Path, file: &str, json: &Value) {
    fs::write(folder.join(file), json.to_string()).unwrap();
}

fn hugging_face_tensors(model: &mut Checkpoint) -> Vec<Tensor> {
    let shape = *model.shape();
    let (state, inner) = (shape.state, 4 * shape.state);
    let mut all = Vec::new();
    let mut take = |theirs: String, ours: &str, dims: &[usize]| {
        all.push((format!("model.{theirs}"), dims.to_vec(), model.tensor(ours).unwrap()));
    };
    take("encoder.conv1.weight".into(), "encoder.conv1.weight", &[state, shape.mels, 3]);
    take("encoder.conv1.bias".into(), "encoder.conv1.bias", &[state]);
    take("encoder.conv2.weight".into(), "encoder.conv2.weight", &[state, state, 3]);
    take("encoder.conv2.bias".into(), "encoder.conv2.bias", &[state]);
    take("encoder.embed_positions.weight".into(), "encoder.positional_embedding", &[1500, state]);
    take("decoder.embed_positions.weight".into(), "decoder.positional_embedding", &[448, state]);
    take("decoder.embed_tokens.weight".into(), "decoder.token_embedding.weight", &[shape.vocabulary, state]);
    for kind in ["weight", "bias"] {
        take(format!("encoder.layer_norm.{kind}"), &format!("encoder.ln_post.{kind}"), &[state]);
        take(format!("decoder.layer_norm.{kind}"), &format!("decoder.ln.{kind}"), &[state]);
    }
    for (side, layers) in [("encoder", shape.audio_layers), ("decoder", shape.text_layers)] {
        for layer in 0..layers {
            let (theirs, ours) = (format!("{side}.layers.{layer}"), format!("{side}.blocks.{layer}"));
            let attentions = [("self_attn", "attn"), ("encoder_attn", "cross_attn")];
            for (attention, our) in attentions.into_iter().take(if side == "encoder" { 1 } else { 2 }) {
                for (part, our_part) in
                    [("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out")]
                {
                    let name = format!("{ours}.{our}.{our_part}");
                    take(format!("{theirs}.{attention}.{part}.weight"), &format!("{name}.weight"), &[state, state]);
                    if part != "k_proj" {
                        take(format!("{theirs}.{attention}.{part}.bias"), &format!("{name}.bias"), &[state]);
                    }
                }
                for kind in ["weight", "bias"] {
                    take(
                        format!("{theirs}.{attention}_layer_norm.{kind}"),
                        &format!("{ours}.{our}_ln.{kind}"),
                        &[state],
                    );
                }
            }
            for kind in ["weight", "bias"] {
                take(format!("{theirs}.final_layer_norm.{kind}"), &format!("{ours}.mlp_ln.{kind}"), &[state]);
            }
            take(format!("{theirs}.fc1.weight"), &format!("{ours}.mlp.0.weight"), &[inner, state]);
            take(format!("{theirs}.fc1.bias"), &format!("{ours}.mlp.0.bias"), &[inner]);
            take(format!("{theirs}.fc2.weight"), &format!("{ours}.mlp.2.weight"), &[state, inner]);
            take(format!("{theirs}.fc2.bias"), &format!("{ours}.mlp.2.bias"), &[state]);
        }
    }
    all
}

fn safetensors(path: &Path, tensors: &[&Tensor], numbers: Numbers) {
    let dtype = match numbers {
        Numbers::F16 => "F16",
        Numbers::Bf16 => "BF16",
        _ => "F32",
    };
    let mut header = Map::new();
    let mut data = Vec::new();
    for (name, dims, tensor) in tensors {
        let start = data.len();
        data.extend(numbers.bytes(tensor));
        header.insert(name.clone(), json!({"dtype": dtype, "shape": dims, "data_offsets": [start, data.len()]}));
    }
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut header = Value::from(header).to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.write_all(&data).unwrap();
}

/// Writes the model in `ggml` as a CTranslate2 folder.
pub fn ctranslate2(ggml: &Path, folder: &Path, numbers: Numbers) {
    let mut model = Checkpoint::open(ggml).unwrap();
    let mut file = Variables { numbers, count: 0, bytes: Vec::new() };
    let shape = *model.shape();
    let (state, inner) = (shape.state, 4 * shape.state);
    file.scalar("decoder/activation", 1, &[3]);
    file.scalar("decoder/alignment_heads", 2, &1i16.to_le_bytes());
    file.scalar("decoder/alignment_layer", 2, &(-1i16).to_le_bytes());
    file.scalar("decoder/num_heads", 2, &(shape.text_heads as i16).to_le_bytes());
    file.scalar("decoder/pre_norm", 1, &[1]);
    file.scalar("decoder/scale_embeddings", 1, &[0]);
    file.scalar("encoder/num_heads", 2, &(shape.audio_heads as i16).to_le_bytes());
    let mut read = |name: &str| model.tensor(name).unwrap();

    file.weight("decoder/embeddings/weight", &[shape.vocabulary, state], &read("decoder.token_embedding.weight"));
    file.weight("encoder/conv1/weight", &[state, shape.mels, 3], &read("encoder.conv1.weight"));
    file.vector("encoder/conv1/bias", &[state], &read("encoder.conv1.bias"));
    file.weight("encoder/conv2/weight", &[state, state, 3], &read("encoder.conv2.weight"));
    file.vector("encoder/conv2/bias", &[state], &read("encoder.conv2.bias"));
    for (side, norm, positions) in [("encoder", "ln_post", 1500), ("decoder", "ln", 448)] {
        let name = format!("{side}/position_encodings/encodings");
        file.vector(&name, &[positions, state], &read(&format!("{side}.positional_embedding")));
        file.vector(&format!("{side}/layer_norm/gamma"), &[state], &read(&format!("{side}.{norm}.weight")));
        file.vector(&format!("{side}/layer_norm/beta"), &[state], &read(&format!("{side}.{norm}.bias")));
    }
    for (side, layers) in [("encoder", shape.audio_layers), ("decoder", shape.text_layers)] {
        for layer in 0..layers {
            let (theirs, ours) = (format!("{side}/layer_{layer}"), format!("{side}.blocks.{layer}"));
            let mut norm = |file: &mut Variables, name: &str, our: &str| {
                file.vector(
                    &format!("{theirs}/{name}/layer_norm/gamma"),
                    &[state],
                    &read(&format!("{ours}.{our}.weight")),
                );
                file.vector(
                    &format!("{theirs}/{name}/layer_norm/beta"),
                    &[state],
                    &read(&format!("{ours}.{our}.bias")),
                );
            };
            norm(&mut file, "self_attention", "attn_ln");
            norm(&mut file, "ffn", "mlp_ln");
            if side == "decoder" {
                norm(&mut file, "attention", "cross_attn_ln");
            }
            let mut linear = |file: &mut Variables, name: &str, parts: &[&str], dims: [usize; 2]| {
                let (mut weights, mut biases) = (Vec::new(), Vec::new());
                for part in parts {
                    weights.extend(read(&format!("{ours}.{part}.weight")));
                    let none = part.ends_with("key"); // CTranslate2 has zeros there
                    biases.extend(if none { vec![0.0; state] } else { read(&format!("{ours}.{part}.bias")) });
                }
                file.weight(&format!("{theirs}/{name}/weight"), &dims, &weights);
                file.vector(&format!("{theirs}/{name}/bias"), &dims[..1], &biases);
            };
            let all = ["attn.query", "attn.key", "attn.value"];
            linear(&mut file, "self_attention/linear_0", &all, [3 * state, state]);
            linear(&mut file, "self_attention/linear_1", &["attn.out"], [state, state]);
            if side == "decoder" {
                linear(&mut file, "attention/linear_0", &["cross_attn.query"], [state, state]);
                linear(&mut file, "attention/linear_1", &["cross_attn.key", "cross_attn.value"], [2 * state, state]);
                linear(&mut file, "attention/linear_2", &["cross_attn.out"], [state, state]);
            }
            linear(&mut file, "ffn/linear_0", &["mlp.0"], [inner, state]);
            linear(&mut file, "ffn/linear_1", &["mlp.2"], [state, inner]);
        }
    }
    file.write(&folder.join("model.bin"));
    let names = token_names(&model);
    write(folder, "vocabulary.json", &json!(names));
    let end = model.vocabulary().special().end as usize;
    let languages: Vec<i32> = model.vocabulary().languages().iter().map(|(_, token)| *token).collect();
    write(folder, "config.json", &json!({"lang_ids": languages, "suppress_ids_begin": [220, end]}));
}

/// `model.bin` in the making.
struct Variables {
    numbers: Numbers,
    count: u32,
    bytes: Vec<u8>,
}

impl Variables {
    fn name(&mut self, name: &str) {
        self.bytes.extend((name.len() as u16 + 1).to_le_bytes());
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
    }

    fn put(&mut self, name: &str, dims: &[usize], kind: u8, numbers: &[u8]) {
        self.count += 1;
        self.name(name);
        self.bytes.push(dims.len() as u8);
        dims.iter().for_each(|extent| self.bytes.extend((*extent as u32).to_le_bytes()));
        self.bytes.push(kind);
        self.bytes.extend((numbers.len() as u32).to_le_bytes());
        self.bytes.extend(numbers);
    }

    fn scalar(&mut self, name: &str, kind: u8, number: &[u8]) {
        self.put(name, &[], kind, number);
    }

    /// What is not quantised.
    fn vector(&mut self, name: &str, dims: &[usize], numbers: &[f32]) {
        let (kind, how) = match self.numbers {
            Numbers::F16 => (4, Numbers::F16),
            Numbers::Bf16 => (5, Numbers::Bf16),
            _ => (0, Numbers::F32),
        };
        self.put(name, dims, kind, &how.bytes(numbers));
    }

    fn weight(&mut self, name: &str, dims: &[usize], numbers: &[f32]) {
        let peak = |numbers: &[f32]| numbers.iter().fold(0.0f32, |peak, number| peak.max(number.abs()));
        let scale = format!("{name}_scale");
        match self.numbers {
            Numbers::Int16 => {
                let factor = 1024.0 / peak(numbers);
                let bytes: Vec<u8> = numbers.iter().flat_map(|n| ((n * factor).round() as i16).to_le_bytes()).collect();
                self.put(name, dims, 2, &bytes);
                self.put(&scale, &[], 0, &factor.to_le_bytes());
            }
            Numbers::Int8 => {
                let rows: Vec<&[f32]> = numbers.chunks_exact(numbers.len() / dims[0]).collect();
                let factors: Vec<f32> = rows.iter().map(|row| 127.0 / peak(row).max(f32::MIN_POSITIVE)).collect();
                let bytes = rows.iter().zip(&factors);
                let bytes: Vec<u8> =
                    bytes.flat_map(|(row, factor)| row.iter().map(move |n| (n * factor).round() as i8 as u8)).collect();
                self.put(name, dims, 1, &bytes);
                self.put(&scale, &dims[..1], 0, &Numbers::F32.bytes(&factors));
            }
            _ => self.vector(name, dims, numbers),
        }
    }

    fn write(mut self, path: &Path) {
        let body = std::mem::take(&mut self.bytes);
        self.bytes.extend(6u32.to_le_bytes());
        self.name("WhisperSpec");
        self.bytes.extend(3u32.to_le_bytes());
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(body);
        self.bytes.extend(1u32.to_le_bytes());
        self.name("decoder/projection/weight");
        self.name("decoder/embeddings/weight");
        fs::write(path, self.bytes).unwrap();
    }
}

/// Names of all tokens, in the order that OpenAI's models have.
fn token_names(model: &Checkpoint) -> Vec<String> {
    let vocabulary = model.vocabulary();
    let special = vocabulary.special();
    let text = vocabulary.texts()[..special.end as usize].iter();
    let mut names: Vec<String> = text.map(|bytes| bytes.iter().map(|byte| letter(*byte)).collect()).collect();
    let languages = special.translate - special.end - 2;
    names.extend(["<|endoftext|>", "<|startoftranscript|>"].map(str::to_owned));
    names.extend(LANGUAGES.iter().take(languages as usize).map(|(code, _)| format!("<|{code}|>")));
    let others =
        ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"];
    names.extend(others.map(str::to_owned));
    let left = model.shape().vocabulary - names.len();
    names.extend((0..left).map(|n| format!("<|{:.2}|>", n as f32 * 0.02)));
    names
}

/// GPT-2's character for a byte.
fn letter(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        0..=b' ' => char::from_u32(0x100 + u32::from(byte)).unwrap(),
        0x7f..=0xa0 => char::from_u32(0x121 + u32::from(byte - 0x7f)).unwrap(),
        0xad => '\u{143}',
    }
}
