//! What the address of a WHIP endpoint may ask for.

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::protocol::control::Configure;

/// The query of `/whip`. Beside these it takes the settings of the message `configure`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// A token in place of a key, for browsers.
    pub(super) token: Option<String>,
    /// `true` has finals come with all finals before them.
    pub(super) full_transcript: bool,
    #[serde(skip)]
    #[param(ignore)]
    pub(super) configure: Configure,
}

/// Names of the parameters that are no settings.
const OWN: [&str; 2] = ["token", "full_transcript"];

impl Params {
    /// Reads the query of an address; an error names the parameter.
    pub(super) fn read(uri: &Uri) -> Result<Self, String> {
        let is_own = |parameter: &&str| OWN.contains(&parameter.split('=').next().unwrap_or_default());
        let parameters = uri.query().unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
        let (own, settings): (Vec<&str>, Vec<&str>) = parameters.partition(is_own);
        let Query(own) = query::<Self>(&own)?;
        let Query(configure) = query(&settings)?;
        Ok(Self { configure, ..own })
    }
}

fn query<T: for<'a> Deserialize<'a>>(parameters: &[&str]) -> Result<Query<T>, String> {
    let uri = format!("/?{}", parameters.join("&")).parse::<Uri>().map_err(|error| error.to_string())?;
    Query::try_from_uri(&uri).map_err(|error| error.body_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Params, String> {
        Params::read(&format!("/whip{query}").parse().unwrap())
    }

    #[test]
    fn settings_stand_beside_the_token() {
        let params = read("?language=de&token=a%20b&min_silence_ms=300").unwrap();
        assert_eq!(params.token.as_deref(), Some("a b"));
        assert_eq!(params.configure.language.as_deref(), Some("de"));
        assert_eq!((params.configure.min_silence_ms, params.full_transcript), (Some(300), false));
        assert!(read("?full_transcript=true").unwrap().full_transcript);
        assert_eq!(read("").unwrap().configure, Configure::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, named) in [("?langage=de", "langage"), ("?min_silence_ms=x", "min_silence_ms"), ("?token", "token")]
        {
            let read = read(query);
            assert!(query == "?token" || read.unwrap_err().contains(named), "{query}");
        }
    }
}
