//! Whisper's languages: codes, names, and what people write instead of them.
//!
//! [`parse`] takes a code (`de`), an English name (`german`) or a BCP-47 tag (`de-AT`) and gives Whisper's code.
//! The order is that of the models' language tokens: a model with n languages knows the first n.

/// Codes and English names in the order of the language tokens. Models before large-v3 know all but the last.
pub const LANGUAGES: [(&str, &str); 100] = [
    ("en", "english"),
    ("zh", "chinese"),
    ("de", "german"),
    ("es", "spanish"),
    ("ru", "russian"),
    ("ko", "korean"),
    ("fr", "french"),
    ("ja", "japanese"),
    ("pt", "portuguese"),
    ("tr", "turkish"),
    ("pl", "polish"),
    ("ca", "catalan"),
    ("nl", "dutch"),
    ("ar", "arabic"),
    ("sv", "swedish"),
    ("it", "italian"),
    ("id", "indonesian"),
    ("hi", "hindi"),
    ("fi", "finnish"),
    ("vi", "vietnamese"),
    ("he", "hebrew"),
    ("uk", "ukrainian"),
    ("el", "greek"),
    ("ms", "malay"),
    ("cs", "czech"),
    ("ro", "romanian"),
    ("da", "danish"),
    ("hu", "hungarian"),
    ("ta", "tamil"),
    ("no", "norwegian"),
    ("th", "thai"),
    ("ur", "urdu"),
    ("hr", "croatian"),
    ("bg", "bulgarian"),
    ("lt", "lithuanian"),
    ("la", "latin"),
    ("mi", "maori"),
    ("ml", "malayalam"),
    ("cy", "welsh"),
    ("sk", "slovak"),
    ("te", "telugu"),
    ("fa", "persian"),
    ("lv", "latvian"),
    ("bn", "bengali"),
    ("sr", "serbian"),
    ("az", "azerbaijani"),
    ("sl", "slovenian"),
    ("kn", "kannada"),
    ("et", "estonian"),
    ("mk", "macedonian"),
    ("br", "breton"),
    ("eu", "basque"),
    ("is", "icelandic"),
    ("hy", "armenian"),
    ("ne", "nepali"),
    ("mn", "mongolian"),
    ("bs", "bosnian"),
    ("kk", "kazakh"),
    ("sq", "albanian"),
    ("sw", "swahili"),
    ("gl", "galician"),
    ("mr", "marathi"),
    ("pa", "punjabi"),
    ("si", "sinhala"),
    ("km", "khmer"),
    ("sn", "shona"),
    ("yo", "yoruba"),
    ("so", "somali"),
    ("af", "afrikaans"),
    ("oc", "occitan"),
    ("ka", "georgian"),
    ("be", "belarusian"),
    ("tg", "tajik"),
    ("sd", "sindhi"),
    ("gu", "gujarati"),
    ("am", "amharic"),
    ("yi", "yiddish"),
    ("lo", "lao"),
    ("uz", "uzbek"),
    ("fo", "faroese"),
    ("ht", "haitian creole"),
    ("ps", "pashto"),
    ("tk", "turkmen"),
    ("nn", "nynorsk"),
    ("mt", "maltese"),
    ("sa", "sanskrit"),
    ("lb", "luxembourgish"),
    ("my", "myanmar"),
    ("bo", "tibetan"),
    ("tl", "tagalog"),
    ("mg", "malagasy"),
    ("as", "assamese"),
    ("tt", "tatar"),
    ("haw", "hawaiian"),
    ("ln", "lingala"),
    ("ha", "hausa"),
    ("ba", "bashkir"),
    ("jw", "javanese"),
    ("su", "sundanese"),
    ("yue", "cantonese"),
];

/// Other codes and names in use for the same languages.
const ALIASES: [(&str, &str); 22] = [
    ("burmese", "my"),
    ("castilian", "es"),
    ("cmn", "zh"),
    ("farsi", "fa"),
    ("fil", "tl"),
    ("filipino", "tl"),
    ("flemish", "nl"),
    ("haitian", "ht"),
    ("iw", "he"),
    ("jv", "jw"),
    ("letzeburgesch", "lb"),
    ("mandarin", "zh"),
    ("mo", "ro"),
    ("moldavian", "ro"),
    ("moldovan", "ro"),
    ("nb", "no"),
    ("panjabi", "pa"),
    ("pushto", "ps"),
    ("sinhalese", "si"),
    ("valencian", "ca"),
    ("bokmål", "no"),
    ("norwegian nynorsk", "nn"),
];

/// Whisper's code for a code, an English name or a BCP-47 tag, in any case; `None` if Whisper doesn't know it.
pub fn parse(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    let known = |wanted: &str| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == wanted).map(|(_, code)| *code);
        let wanted = alias.unwrap_or(wanted);
        LANGUAGES.iter().find(|(code, name)| *code == wanted || *name == wanted).map(|(code, _)| *code)
    };
    known(&text).or_else(|| text.split(['-', '_']).next().and_then(known))
}

/// Place of a code among the language tokens.
pub fn index(code: &str) -> Option<usize> {
    LANGUAGES.iter().position(|(known, _)| *known == code)
}

/// Whether the language is written without spaces between words.
pub fn is_unspaced(code: &str) -> bool {
    matches!(code, "zh" | "ja" | "th" | "lo" | "my" | "km" | "bo" | "yue")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_tags_give_the_code() {
        for (text, code) in [
            ("en", "en"),
            ("EN-us", "en"),
            ("English", "en"),
            ("pt_BR", "pt"),
            ("zh-Hant-TW", "zh"),
            ("yue", "yue"),
            (" german ", "de"),
            ("Haitian Creole", "ht"),
            ("nb-NO", "no"),
            ("iw", "he"),
        ] {
            assert_eq!(parse(text), Some(code), "{text}");
        }
    }

    #[test]
    fn unknown_languages_are_none() {
        for text in ["", "xx", "klingon", "e", "auto", "-", "en\0"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn each_alias_leads_to_a_language() {
        for (alias, code) in ALIASES {
            assert!(index(code).is_some(), "{alias}");
            assert_eq!(parse(alias), Some(code));
        }
    }

    #[cfg(feature = "whisper-cpp")]
    #[test]
    fn the_order_is_that_of_the_language_tokens() {
        for (n, (code, name)) in LANGUAGES.iter().enumerate() {
            assert_eq!(whisper_rs::get_lang_str(n as i32), Some(*code));
            assert_eq!(whisper_rs::get_lang_str_full(n as i32), Some(*name));
        }
        assert_eq!(whisper_rs::get_lang_max_id() as usize + 1, LANGUAGES.len());
    }
}
