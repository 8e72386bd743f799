//! The REST interface as an OpenAPI document, made from the handlers; `pipeline-server/protocol/` has it.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{events, sessions, sources};
use crate::protocol::VERSION;
use crate::sources::whip::http as whip;

#[derive(OpenApi)]
#[openapi(
    info(title = "pipeline-server", description = "Streams that are transcribed while they are live."),
    paths(
        sources::add, sources::list, sources::show, sources::remove, sessions::list, events::events, whip::publish,
        whip::change, whip::end
    ),
    modifiers(&Keys),
    security((), ("key" = []))
)]
struct Api;

/// Keys, where the server has any.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        document.info.version = VERSION.to_string();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

/// The document.
pub(crate) fn document() -> serde_json::Value {
    // Plain structs with string keys: nothing in them can fail to serialise.
    serde_json::to_value(Api::openapi()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::protocol::schema::tests::{compare, references_lead_somewhere};

    #[test]
    fn the_committed_openapi_document_is_that_of_the_handlers() {
        let document = super::document();
        references_lead_somewhere(&document, &document);
        compare("v1.openapi.json", &document);
    }
}
