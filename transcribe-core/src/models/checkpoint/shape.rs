//! What a Whisper model's sizes are, and which tensors follow from them. Every format is held to this, whatever it calls
//! its tensors.

/// Encoder positions in Whisper's 30 s.
pub(crate) const AUDIO_CONTEXT: usize = 1500;
/// Decoder positions.
pub(crate) const TEXT_CONTEXT: usize = 448;
/// Vocabulary of the English models; multilingual ones have one more, those with Cantonese two more.
pub(crate) const ENGLISH_VOCABULARY: usize = 51_864;
/// Most layers, heads and width believed, far above the largest model's 32, 20 and 1280.
pub(crate) const MOST_LAYERS: usize = 128;
pub(crate) const MOST_HEADS: usize = 128;
pub(crate) const WIDEST_STATE: usize = 8192;
/// Most tokens believed, four times the largest vocabulary.
const MOST_TOKENS: usize = 1 << 18;

/// The sizes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// Tokens, special ones included.
    pub vocabulary: usize,
    /// Mel bands.
    pub mels: usize,
    /// Encoder positions.
    pub audio_context: usize,
    /// Decoder positions.
    pub text_context: usize,
    /// Width of encoder and decoder.
    pub state: usize,
    /// Attention heads of the encoder.
    pub audio_heads: usize,
    /// Layers of the encoder.
    pub audio_layers: usize,
    /// Width inside the encoder's feed-forward nets.
    pub audio_inner: usize,
    /// Attention heads of the decoder.
    pub text_heads: usize,
    /// Layers of the decoder.
    pub text_layers: usize,
    /// Width inside the decoder's feed-forward nets.
    pub text_inner: usize,
    /// Whether it knows languages other than English.
    pub multilingual: bool,
    /// Whether logits are made with the token embedding, as in OpenAI's models; a fine-tune may have weights of its own
    /// for them.
    pub tied: bool,
}

/// What a tensor is for, which is what its type depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A matrix, a row for each output.
    Matrix,
    /// Filters of a convolution: [outputs, inputs, 3].
    Filters,
    /// The positional embedding: [positions, state].
    Positions,
    /// A bias, or a normalisation's weights.
    Vector,
}

/// A tensor that belongs to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Required {
    /// As OpenAI's code calls it, and ggml files; the head of its own, which these don't have, is [`HEAD`].
    pub(crate) name: String,
    /// Extents, the outermost first.
    pub(crate) dims: Vec<usize>,
    pub(crate) role: Role,
}

#[cfg(any(test, fuzzing))]
impl Required {
    /// Numbers in it.
    pub(crate) fn numbers(&self) -> u64 {
        self.dims.iter().map(|extent| *extent as u64).product() // in bounds, as the shape was checked
    }
}

/// The token embedding.
pub(crate) const EMBEDDING: &str = "decoder.token_embedding.weight";
/// The weights that make logits, where they are not the token embedding.
pub(crate) const HEAD: &str = "decoder.head.weight";

impl ModelShape {
    /// Languages a multilingual model knows when it has the tokens of OpenAI's, else 1. The tokens that aren't text or
    /// languages are as many in all of them.
    pub(crate) fn languages(&self) -> usize {
        if self.multilingual {
            self.vocabulary.saturating_sub(ENGLISH_VOCABULARY - 98)
        } else {
            1
        }
    }

    /// Size as whisper.cpp names it, from the encoder's layers: `tiny`, `base`, `small`, `medium`, `large`, or
    /// `custom`.
    pub fn kind(&self) -> &'static str {
        match self.audio_layers {
            4 => "tiny",
            6 => "base",
            12 => "small",
            24 => "medium",
            32 => "large",
            _ => "custom",
        }
    }

    /// Checks that these can be sizes of a Whisper model; the reason if not.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (what, value, from, to) in [
            ("its vocabulary", self.vocabulary, 8, MOST_TOKENS),
            ("the number of encoder positions", self.audio_context, AUDIO_CONTEXT, AUDIO_CONTEXT),
            ("the number of decoder positions", self.text_context, TEXT_CONTEXT, TEXT_CONTEXT),
            ("its width", self.state, 2, WIDEST_STATE),
            ("the number of encoder heads", self.audio_heads, 1, MOST_HEADS),
            ("the number of encoder layers", self.audio_layers, 1, MOST_LAYERS),
            ("the encoder's feed-forward width", self.audio_inner, 1, 8 * WIDEST_STATE),
            ("the number of decoder heads", self.text_heads, 1, MOST_HEADS),
            ("the number of decoder layers", self.text_layers, 1, MOST_LAYERS),
            ("the decoder's feed-forward width", self.text_inner, 1, 8 * WIDEST_STATE),
        ] {
            if !(from..=to).contains(&value) {
                return Err(if from == to {
                    format!("{what} is {value}; Whisper has {from}")
                } else {
                    format!("{what} is {value}; {from} to {to} would be believed")
                });
            }
        }
        if self.mels != 80 && self.mels != 128 {
            return Err(format!("it has {} mel bands; Whisper has 80 or 128", self.mels));
        }
        for (side, heads) in [("encoder", self.audio_heads), ("decoder", self.text_heads)] {
            if !self.state.is_multiple_of(heads) {
                return Err(format!("the {side} has {heads} heads, which do not divide the width {}", self.state));
            }
        }
        Ok(())
    }

    /// All tensors of a model of this shape.
    pub(crate) fn tensors(&self) -> Vec<Required> {
        let state = self.state;
        let mut all = Vec::new();
        let mut add = |name: String, dims: &[usize], role| all.push(Required { name, dims: dims.to_vec(), role });

        add("encoder.positional_embedding".into(), &[self.audio_context, state], Role::Positions);
        add("encoder.conv1.weight".into(), &[state, self.mels, 3], Role::Filters);
        add("encoder.conv1.bias".into(), &[state], Role::Vector);
        add("encoder.conv2.weight".into(), &[state, state, 3], Role::Filters);
        add("encoder.conv2.bias".into(), &[state], Role::Vector);
        add("decoder.positional_embedding".into(), &[self.text_context, state], Role::Positions);
        add(EMBEDDING.into(), &[self.vocabulary, state], Role::Matrix);
        if !self.tied {
            add(HEAD.into(), &[self.vocabulary, state], Role::Matrix);
        }
        let mut norms = vec!["encoder.ln_post".to_owned(), "decoder.ln".to_owned()];
        for (side, layers, inner, attentions) in [
            ("encoder", self.audio_layers, self.audio_inner, &["attn"][..]),
            ("decoder", self.text_layers, self.text_inner, &["attn", "cross_attn"][..]),
        ] {
            for layer in 0..layers {
                let block = format!("{side}.blocks.{layer}");
                norms.extend(attentions.iter().chain(&["mlp"]).map(|part| format!("{block}.{part}_ln")));
                for attention in attentions {
                    for part in ["query", "key", "value", "out"] {
                        add(format!("{block}.{attention}.{part}.weight"), &[state, state], Role::Matrix);
                        if part != "key" {
                            add(format!("{block}.{attention}.{part}.bias"), &[state], Role::Vector);
                        }
                    }
                }
                for (part, outputs, inputs) in [("mlp.0", inner, state), ("mlp.2", state, inner)] {
                    add(format!("{block}.{part}.weight"), &[outputs, inputs], Role::Matrix);
                    add(format!("{block}.{part}.bias"), &[outputs], Role::Vector);
                }
            }
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[state], Role::Vector);
            add(format!("{norm}.bias"), &[state], Role::Vector);
        }
        all
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// tiny.en's.
    pub(crate) const TINY_EN: ModelShape = ModelShape {
        vocabulary: 51_864,
        mels: 80,
        audio_context: 1500,
        text_context: 448,
        state: 384,
        audio_heads: 6,
        audio_layers: 4,
        audio_inner: 1536,
        text_heads: 6,
        text_layers: 4,
        text_inner: 1536,
        multilingual: false,
        tied: true,
    };

    #[test]
    fn tiny_en_has_its_37_8_million_parameters() {
        let parameters: u64 = TINY_EN.tensors().iter().map(Required::numbers).sum();
        assert_eq!(parameters, 37_760_256);
    }

    #[test]
    fn a_head_of_its_own_is_one_tensor_more() {
        let untied = ModelShape { tied: false, ..TINY_EN };
        assert_eq!(untied.tensors().len(), TINY_EN.tensors().len() + 1);
    }

    #[test]
    fn sizes_that_no_model_has_are_refused() {
        assert_eq!(TINY_EN.check(), Ok(()));
        for (shape, complaint) in [
            (ModelShape { vocabulary: usize::MAX, ..TINY_EN }, "vocabulary"),
            (ModelShape { state: 0, ..TINY_EN }, "width"),
            (ModelShape { mels: 81, ..TINY_EN }, "81 mel bands"),
            (ModelShape { text_heads: 5, ..TINY_EN }, "do not divide"),
            (ModelShape { text_heads: 0, ..TINY_EN }, "decoder heads"),
            (ModelShape { audio_context: 3000, ..TINY_EN }, "Whisper has 1500"),
            (ModelShape { text_layers: 1_000_000, ..TINY_EN }, "decoder layers"),
            (ModelShape { audio_inner: usize::MAX, ..TINY_EN }, "feed-forward"),
        ] {
            assert!(shape.check().unwrap_err().contains(complaint), "{shape:?}");
        }
    }

    #[test]
    fn the_vocabulary_tells_the_languages() {
        let languages = |vocabulary| ModelShape { vocabulary, multilingual: true, ..TINY_EN }.languages();
        assert_eq!((TINY_EN.languages(), languages(51_865), languages(51_866)), (1, 99, 100));
    }
}
